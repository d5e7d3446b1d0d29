# git under always-deny: a repository the run makes is whole, one that was there keeps its hooks and configuration.
set -eu
cd "$1"
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
git init -q made && cd made
mkdir d && for i in {1..30}; do echo "$i" > "d/f$i"; done
git add . && git commit -qm one
echo more > d/f1 && git commit -qam two && git mv d/f2 d/moved && git commit -qm three
git checkout -qb side && echo side > side && git add side && git commit -qm side && git checkout -q - && git merge -q --no-edit side
git gc -q && git fsck --strict --no-progress && echo sound
cd .. && git clone -q made cloned && cd cloned && git log --oneline | wc -l && git status --porcelain | wc -l
git config user.name changed && git config user.name
cd .. && rm -rf cloned && echo removed
cd there && git log --oneline | wc -l && echo new > new && git add new && git commit -qm new && git log --oneline | wc -l
git config core.fsmonitor evil 2> /dev/null || echo "config kept"
(echo evil > .git/hooks/post-commit) 2> /dev/null || echo "hook kept"
mv .git moved 2> /dev/null || echo "folder kept"
