# Clients that know nothing of Authority: each question prints `=== NAME`, what it said, and `=== exit N`. The test's addresses are in the environment.
set -u
cd /tmp
ask() {
  local name=$1; shift
  echo "=== $name"; timeout 90 "$@" < /dev/null 2>&1; echo "=== exit $?"
}
HERE=/opt/tools/scripts
BUNDLE=/etc/ssl/certs/ca-certificates.crt
python() { env -u LD_LIBRARY_PATH PYTHONPATH=/opt/tools/python "$PYTHON" "$@"; }
npm_install() {
  mkdir -p "$1" && cd "$1" && echo '{"name":"project","version":"1.0.0","private":true}' > package.json || return
  NODE_EXTRA_CA_CERTS=$BUNDLE node "$NPM" install --registry="$2" --fetch-retries=0 --no-update-notifier --no-audit --no-fund --loglevel=error --cache=/tmp/npm-"$1" "$3" &&
    node -e "console.log(require('$3'))"
}
pip_install() { python -m pip install --quiet --index-url "$2" --cert $BUNDLE --retries 0 --trusted-host web.test --no-cache-dir --no-compile --disable-pip-version-check --target "$1" "$3" && ls "$1"; }
pull_and_push() {
  git clone -q "$1" "$2" && cd "$2" && git log --format=%s && git commit -q --allow-empty -m "$3" && git push -q origin HEAD:main && echo pushed
}
tls_client() { printf 'GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$1" | openssl s_client -connect "$1:$TLS_PORT" -quiet -ign_eof -verify_return_error; }
export -f python npm_install pip_install pull_and_push tls_client
export BUNDLE
within() { ask "$1" bash -c '"$@"' -- "${@:2}"; }

for each in "http $WEB_URL" "https $TLS_URL" "denied name $NAME_URL" "denied port $PORT_URL" "stranger $STRANGER_URL"; do
  what=${each% *}; url=${each##* }
  ask "curl $what" curl -sS --max-time 60 "$url"
  ask "wget $what" wget -nv -O - -T 60 -t 1 "$url"
  ask "Go $what" /opt/tools/bin/go-client "$url"
  ask "Bun $what" env NODE_EXTRA_CA_CERTS=$BUNDLE bun "$HERE/clients.ts" "$url"
done
ask 'curl HTTP/2' curl -sS --http2 -w ' over %{http_version}' "$TLS_URL"
ask 'Bun WebSocket' bun "$HERE/clients.ts" "ws://web.test:$SOCKETS"

NODE_EXTRA_CA_CERTS=$BUNDLE node "$HERE/clients.mjs"
REQUESTS_CA_BUNDLE=$BUNDLE SSL_CERT_FILE=$BUNDLE python "$HERE/clients.py"

within 'openssl s_client' tls_client tls.test
within 'openssl s_client stranger' tls_client stranger.test

export GIT_AUTHOR_NAME=agent GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=agent GIT_COMMITTER_EMAIL=a@b
within 'git http' pull_and_push "${WEB_URL}git/shared.git" one 'from the machine over HTTP'
within 'git https' pull_and_push "${TLS_URL}git/shared.git" two 'from the machine over HTTPS'
ask 'git denied name' git clone -q "${NAME_URL}git/shared.git" three
ask 'git denied port' git clone -q "${PORT_URL}git/shared.git" four
ask 'git stranger' git clone -q "${STRANGER_URL}git/shared.git" five

within 'npm http' npm_install n1 "${WEB_URL}npm/" package-of-ours
within 'npm https' npm_install n2 "${TLS_URL}npm/" package-of-ours
within 'npm denied name' npm_install n3 "${NAME_URL}npm/" package-of-ours
within 'npm denied port' npm_install n4 "${PORT_URL}npm/" package-of-ours
within 'pip http' pip_install p1 "${WEB_URL}simple/" wheel-of-ours
within 'pip https' pip_install p2 "${TLS_URL}simple/" wheel-of-ours
within 'pip denied name' pip_install p3 "${NAME_URL}simple/" wheel-of-ours
within 'pip denied port' pip_install p4 "${PORT_URL}simple/" wheel-of-ours
[ -z "${NPM_REGISTRY-}" ] || within 'npm of this machine' npm_install n5 "$NPM_REGISTRY" picocolors
[ -z "${PIP_INDEX-}" ] || within 'pip of this machine' pip_install p5 "$PIP_INDEX" iniconfig

ask 'published Node server' node "$HERE/serve.mjs"
