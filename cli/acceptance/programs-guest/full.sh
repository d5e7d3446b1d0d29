# git, tar, rsync and ripgrep on trees of full size: prints the same on a host mount and on a plain folder. $1 the folder, $2 how many files, a multiple of 100.
set -eu
cd "$1"
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
# The same commits and packs everywhere.
export GIT_AUTHOR_DATE='@1700000000 +0000' GIT_COMMITTER_DATE='@1700000000 +0000'
step() { echo "== $1"; }

step tree
mkdir tree
for ((d = 0; d < $2 / 100; d++)); do
	mkdir "tree/d$d"
	for f in {1..100}; do echo "$d $f" > "tree/d$d/f$f"; done
done
find tree -type f | wc -l

step tar
tar cf tree.tar tree && mkdir out && tar xf tree.tar -C out && diff -r tree out/tree && echo same
rm -r out tree.tar

step rsync
rsync -a tree/ copy/ && diff -r tree copy && echo same
rsync -a --delete --itemize-changes tree/ copy/ | wc -l
rm -r copy

step ripgrep
rg --no-config -l '^[0-9]+ 7$' tree | wc -l

step git
git init -q made && git -C made config pack.threads 1 && mv tree made/ && cd made
git add . && git commit -qm one && git status --porcelain | wc -l
for d in tree/*/; do echo more >> "${d}f1"; done
git status --porcelain | wc -l && git commit -qam two
git gc -q && git fsck --strict --no-progress && echo sound
cd .. && git clone -q made cloned && git -C cloned log --oneline | wc -l && diff -r made/tree cloned/tree && echo same
rm -rf cloned && ls
