"""What programs of the image take, from inside a guest: `NAME WHAT NUMBER` lines. Without arguments: from their start to their end, in ms. With a mounted folder:
`git status` of the repository in it, and of the same repository in scratch."""
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import time

HELLO = {
    "python": [sys.executable, "-c", "print('hello')"],
    "imports": [sys.executable, "-c", "import json, argparse, subprocess, urllib.request, asyncio; print('hello')"],
    "node": ["/opt/tools/node", "-e", "console.log('hello')"],
}
ROUNDS = 5
env = {**os.environ, "LD_LIBRARY_PATH": "/opt/tools/lib", "HOME": "/tmp", "GIT_CONFIG_NOSYSTEM": "1"}


def once(command, expected):
    start = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, env=env, check=True)
    if done.stdout != expected:
        raise SystemExit(f"failed {done}")
    return (time.monotonic() - start) * 1000


def cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000


def git(name, folder):
    command = ["/opt/tools/git", "-c", "safe.directory=*", "-C", folder, "status", "--porcelain"]
    print(name, "first", round(once(command, b"")), flush=True)
    times, before = [], cpu()
    for _ in range(ROUNDS):
        times.append(once(command, b""))
    print(name, "warm", round(statistics.median(times)), flush=True)
    print(name, "waiting", round(100 - 100 * (cpu() - before) / sum(times)), flush=True)


if len(sys.argv) > 1:
    mounted = sys.argv[1]
    with tarfile.open(f"{mounted}/repository.tar") as archive:
        archive.extractall("/tmp")
    git("git-mount", f"{mounted}/repository")
    git("git-scratch", "/tmp/repository")
else:
    for name, command in HELLO.items():
        print(name, "cold", round(once(command, b"hello\n"), 1), flush=True)
        print(name, "warm", round(statistics.median(once(command, b"hello\n") for _ in range(ROUNDS)), 1), flush=True)
