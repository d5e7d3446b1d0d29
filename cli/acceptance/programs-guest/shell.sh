# Bash, coreutils and tar on a folder: prints the same on a host mount and on a plain one.
set -eu
cd "$1"
mkdir -p tree/{a,b}/deep
for i in {1..40}; do seq "$i" > "tree/a/deep/f$i"; done
cp -a tree/a tree/b/copy
ln -s ../a/deep/f1 tree/b/link
chmod 750 tree/b
cat > script.sh <<'END'
#!/bin/bash
trap 'echo trapped' EXIT
while read -r line; do echo "<$line>"; done
END
chmod +x script.sh
printf 'one\ntwo\n' | bash ./script.sh
set -o noclobber
(echo x > script.sh) 2> /dev/null || echo kept
set +o noclobber
diff <(ls tree/a/deep) <(ls tree/b/copy/deep) && echo same
{ echo err >&2; echo out; } > both 2>&1; cat both
exec 7<> rw; echo written >&7; exec 7>&-; cat rw
(echo background > bg) & wait; cat bg
tar cf tree.tar tree && mkdir out && tar xf tree.tar -C out && diff -r tree out/tree && echo tar
tar czf tree.tgz tree && gzip -dc tree.tgz | cmp - tree.tar && echo gzip
find tree -type f | wc -l
find tree -type f -exec cat {} + | sort -n | tail -n 1
sed -i s/1/one/ tree/a/deep/f1 && cat tree/a/deep/f1
mv tree/a tree/b/moved && ls tree/b
rm -r out tree && ls
