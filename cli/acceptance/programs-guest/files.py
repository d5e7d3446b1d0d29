"""What Python programs do with files. Prints one line per step; on a host mount and on a plain folder the lines must be the same."""
import ctypes
import errno
import fcntl
import mmap
import os
import pathlib
import shutil
import stat
import sys
import tarfile
import tempfile

root = pathlib.Path(sys.argv[1])
os.umask(0o022)
os.chdir(root)
libc = ctypes.CDLL(None, use_errno=True)


def step(name, work):
    try:
        print(name, work())
    except OSError as error:
        print(name, "errno", errno.errorcode[error.errno])


def write(path, data, mode="wb"):
    with open(path, mode) as file:
        return file.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def renameat2(source, target, flags):
    if libc.renameat2(-100, source.encode(), -100, target.encode(), flags) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def mode(path):
    return oct(os.lstat(path).st_mode)


def mapped():
    with open("map", "w+b") as file:
        file.truncate(10_000)
        with mmap.mmap(file.fileno(), 10_000) as view:
            view[5_000:5_003] = b"map"
            view.flush()
            file.seek(5_000)
            return file.read(3), read("map")[5_000:5_004]


def nameless():
    with open("n", "w+b") as file:
        file.write(b"abc")
        file.flush()
        os.unlink("n")
        file.truncate(2)
        file.seek(0)
        return os.fstat(file.fileno()).st_nlink, file.read()


def locks():
    with open("old", "r+b") as one:
        fcntl.flock(one, fcntl.LOCK_EX)
        fcntl.lockf(one, fcntl.LOCK_EX, 1, 0)
        pid = os.fork()
        if pid == 0:
            tries = 0
            with open("old", "r+b") as two:
                for lock in (lambda: fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB), lambda: fcntl.lockf(two, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)):
                    try:
                        lock()
                    except OSError as error:
                        tries += error.errno == errno.EAGAIN
            os._exit(tries)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def hole():
    fd = os.open("hole", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"x" * 4096, 1 << 20)
    found = os.lseek(fd, 0, os.SEEK_DATA), os.lseek(fd, 0, os.SEEK_HOLE), os.lseek(fd, 1 << 20, os.SEEK_HOLE)
    os.posix_fallocate(fd, 0, 2 << 20)
    size = os.fstat(fd).st_size
    os.close(fd)
    os.unlink("hole")
    return found, size


def sent():
    with open("old", "rb") as source, open("sent", "wb") as target:
        return os.sendfile(target.fileno(), source.fileno(), 0, 100), os.copy_file_range(source.fileno(), target.fileno(), 100, 0), read("sent")


def many():
    os.mkdir("many")
    for i in range(300):
        write(f"many/{i:03}", str(i).encode())
    with os.scandir("many") as entries:
        sizes = sum(entry.stat().st_size for entry in entries)
    for i in range(0, 300, 2):
        os.unlink(f"many/{i:03}")
    return sizes, len(os.listdir("many"))


def packed():
    with tarfile.open("many.tar.gz", "w:gz") as archive:
        archive.add("many")
    with tarfile.open("many.tar.gz") as archive:
        archive.extractall("unpacked")
    return len(os.listdir("unpacked/many")), read("unpacked/many/299")


def appends():
    pids = []
    for name in b"abcd":
        pid = os.fork()
        if pid == 0:
            fd = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            for _ in range(50):
                os.write(fd, bytes([name]) * 15 + b"\n")
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
    lines = read("log").split(b"\n")[:-1]
    return len(lines), all(len(set(line)) == 1 and len(line) == 15 for line in lines)


step("write", lambda: write("a", b"hello\n"))
step("append", lambda: write("a", b"more\n", "ab"))
step("read", lambda: read("a"))
step("exclusive", lambda: os.open("a", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
step("absent", lambda: os.open("nothing", os.O_RDONLY))
step("below a file", lambda: os.open("a/b", os.O_RDONLY))
step("write to a folder", lambda: os.open(".", os.O_WRONLY))
step("O_DIRECTORY", lambda: os.open("a", os.O_DIRECTORY))
step("long name", lambda: write("x" * 256, b""))
step("names", lambda: [write(name, name.encode()) for name in ["é", "日本", "a b", "-n", "q'\""]])
step("mkdir", lambda: os.makedirs("d/e/f"))
step("mkdir again", lambda: os.mkdir("d"))
step("rmdir full", lambda: os.rmdir("d"))
step("unlink a folder", lambda: os.unlink("d"))
step("rename", lambda: os.rename("a", "d/a"))
step("rename onto a folder", lambda: os.rename("d/a", "d/e"))
step("folder into itself", lambda: os.rename("d", "d/e/g"))
step("replace", lambda: (write("old", b"old"), write("new", b"new"), os.replace("new", "old"), read("old")))
step("noreplace", lambda: renameat2("old", "d/a", 1))
step("exchange", lambda: (renameat2("old", "d/a", 2), read("old"), read("d/a")))
step("exchange with nothing", lambda: renameat2("old", "nothing", 2))
step("chmod", lambda: (os.chmod("old", 0o640), mode("old")))
step("umask", lambda: (os.close(os.open("m", os.O_CREAT | os.O_WRONLY, 0o777)), mode("m")))
step("times", lambda: (os.utime("old", ns=(1_500_000_000_123_456_789, 1_400_000_000_987_654_321)), os.stat("old").st_mtime_ns, os.stat("old").st_atime_ns))
step("truncate", lambda: (os.truncate("old", 100), os.stat("old").st_size, read("old")[-3:], os.truncate("old", 2), read("old")))
step("symlink", lambda: (os.symlink("old", "s"), os.readlink("s"), read("s"), os.path.islink("s")))
step("dangling", lambda: (os.symlink("gone", "dangling"), os.path.exists("dangling"), os.path.lexists("dangling")))
step("through it", lambda: read("dangling"))
step("loop", lambda: (os.symlink("loop", "loop"), read("loop")))
step("link", lambda: (os.link("old", "hard"), os.stat("old").st_nlink, os.path.samefile("old", "hard"), os.unlink("hard"), os.stat("old").st_nlink))
step("link a folder", lambda: os.link("d", "dd"))
step("mmap", lambda: mapped())
step("open without a name", lambda: nameless())
step("locks", lambda: locks())
step("hole", lambda: hole())
step("sendfile", lambda: sent())
step("temporary", lambda: (tempfile.NamedTemporaryFile(dir=".").__enter__().write(b"t"), [n for n in os.listdir(".") if n.startswith("tmp")]))
step("many", lambda: many())
step("tree", lambda: (shutil.copytree("d", "copy", symlinks=True), sorted(str(p) for p in pathlib.Path("copy").rglob("*"))))
step("tarfile", lambda: packed())
step("appends of four processes", lambda: appends())
step("rmtree", lambda: (shutil.rmtree("copy"), os.path.exists("copy")))
