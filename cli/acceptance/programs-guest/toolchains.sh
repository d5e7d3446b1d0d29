# What people build with, on a folder: prints the same on a host mount and on a plain one. $1 the folder, $2 what was downloaded for it beforehand.
set -u
cd "$1"
step() { echo "== $1"; }

step gcc
cat > hello.c <<'END'
#include <stdio.h>
int main(void) { FILE *f = fopen("made", "w"); fprintf(f, "by gcc\n"); fclose(f); puts("compiled"); return 3; }
END
$CC -O1 -o hello hello.c; ./hello; echo "exit $?"; cat made
$CC -O1 -c -o hello.o hello.c && ls hello.o

step rsync
mkdir source && for i in {1..300}; do mkdir -p "source/d$((i % 7))" && echo "$i" > "source/d$((i % 7))/f$i"; done
ln -s d1 source/link && chmod 600 source/d1/f1
rsync -a source/ target/ && diff -r source target && echo same
echo more >> source/d2/f2 && touch -d 2001-01-01 source/d2/f2 && rm source/d3/f3 && rsync -a --delete --checksum --omit-dir-times --itemize-changes source/ target/ && diff -r source target && echo same

step ripgrep
rg --no-config -l '^29[0-9]$' source --sort path | wc -l
rg --no-config -c more source/d2

step vim
printf 'one\ntwo\n' > text
vim -u NONE -N -es -c 'set backup writebackup backupcopy=no backupext=~ backupskip=' -c '%s/one/three/' -c 'wq' text < /dev/null; cat text text~
vim -u NONE -N -es -c 'set nobackup writebackup backupcopy=yes' -c '%s/two/four/' -c 'wq' text < /dev/null; cat text; ls -a | grep -c '\.sw'

step jobs
set -m
sleep 1000 & job=$!
kill -STOP "$job"; until [[ $(jobs) == *Stopped* ]]; do :; done; echo stopped
kill -CONT "$job"; until [[ $(jobs) == *Running* ]]; do :; done; echo running
kill -TERM "$job"; wait "$job" 2> /dev/null; echo "job $?"
(exit 7) & wait $!; echo "job $?"
set +m
mkfifo "$HOME/pipe" && (echo through > "$HOME/pipe" &) && cat "$HOME/pipe"

step node
node "$FILES_MJS" node-files

step npm
mkdir project && cd project && echo '{"name":"project","version":"1.0.0","private":true}' > package.json
node "$NPM" install --offline --no-update-notifier --no-audit --no-fund --loglevel=error --cache="$HOME/npm" "$2/package.tgz" > /dev/null && node -e 'console.log(require("package-of-ours"))'
ls node_modules/package-of-ours; cd ..

step pip
"$PYTHON" "$PIP" install --quiet --no-index --no-cache-dir --no-compile --disable-pip-version-check --root-user-action=ignore --target site "$2/wheel_of_ours-1.0-py3-none-any.whl" && PYTHONPATH=site "$PYTHON" -c 'import wheel_of_ours; print(wheel_of_ours.NAME)'
ls site
