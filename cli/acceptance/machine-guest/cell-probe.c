/*
 * Runs inside QEMU's cell in place of QEMU and says, one `name value` a line, what a program there can do. Arguments: host paths to try to read.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *outcome(long result) {
    static char other[24];
    if (result >= 0) return "ok";
    switch (errno) {
    case EPERM: return "EPERM";
    case ENOENT: return "ENOENT";
    case EACCES: return "EACCES";
    case EINVAL: return "EINVAL";
    case ESRCH: return "ESRCH";
    case EROFS: return "EROFS";
    }
    snprintf(other, sizeof other, "errno-%d", errno);
    return other;
}
static int writable, writable_mounts;

/* Lists every file there is, and tries to make one in every folder and to open every file for writing. */
static void walk(const char *folder) {
    char path[4096];
    DIR *d = opendir(folder[0] ? folder : "/");
    struct dirent *entry;
    if (!d) return;
    snprintf(path, sizeof path, "%s/probe-made", folder);
    int made = open(path, O_CREAT | O_WRONLY, 0600);
    if (made >= 0) printf("made %s\n", path), writable++, close(made);
    while ((entry = readdir(d))) {
        struct stat st;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (lstat(path, &st)) continue;
        struct statvfs vfs;
        if (!S_ISCHR(st.st_mode) && (statvfs(path, &vfs) || !(vfs.f_flag & ST_RDONLY))) writable_mounts++;
        if (S_ISDIR(st.st_mode)) walk(path);
        else printf("file %s\n", path);
        if (S_ISREG(st.st_mode)) {
            int fd = open(path, O_WRONLY | O_APPEND);
            if (fd >= 0) printf("writable %s\n", path), writable++, close(fd);
            if (!chmod(path, 0777)) printf("chmod %s\n", path), writable++;
            if (!unlink(path)) printf("unlinked %s\n", path), writable++;
        }
    }
    closedir(d);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    printf("uid %d\ngid %d\neuid %d\npid %d\nppid %d\n", getuid(), getgid(), geteuid(), getpid(), getppid());
    gid_t groups[64];
    printf("groups %d\n", getgroups(64, groups));
    for (int fd = 0; fd < 4096; fd++)
        if (fcntl(fd, F_GETFD) >= 0) printf("fd %d\n", fd);
    for (int i = 1; i < argc; i++) printf("read %s %s\n", argv[i], outcome(open(argv[i], O_RDONLY)));
    walk("");
    printf("writes %d\nwritable-mounts %d\n", writable, writable_mounts);
    printf("inet %s\n", outcome(socket(AF_INET, SOCK_STREAM, 0)));
    printf("unix %s\n", outcome(socket(AF_UNIX, SOCK_STREAM, 0)));
    printf("netlink %s\n", outcome(socket(AF_NETLINK, SOCK_RAW, 0)));
    int others = 0;
    for (int pid = 2; pid < 1 << 17; pid++) others += kill(pid, 0) == 0 || errno != ESRCH;
    printf("others %d\nkillall %s\n", others, outcome(kill(-1, SIGKILL)));
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {0};
    syscall(SYS_capget, &header, data);
    printf("caps %x%x %x%x %x%x\n", data[0].effective, data[1].effective, data[0].permitted, data[1].permitted, data[0].inheritable, data[1].inheritable);
    int bounding = 0;
    for (int i = 0; i < 64; i++) bounding += prctl(PR_CAPBSET_READ, i) == 1;
    printf("bounding %d\nno_new_privs %d\nseccomp %d\n", bounding, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), prctl(PR_GET_SECCOMP));
    int death = 0;
    prctl(PR_GET_PDEATHSIG, &death);
    printf("pdeathsig %d\n", death);
    printf("setuid %s\n", outcome(setuid(0)));
    printf("unshare %s\n", outcome(unshare(CLONE_NEWUSER)));
    printf("clone %s\n", outcome(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)));
    printf("mount %s\n", outcome(mount("none", "/", "tmpfs", 0, 0)));
    printf("remount %s\n", outcome(mount("none", "/", NULL, MS_REMOUNT | MS_BIND, 0)));
    printf("chroot %s\n", outcome(chroot("/")));
    printf("ptrace %s\n", outcome(ptrace(PTRACE_TRACEME, 0, 0, 0)));
    printf("bpf %s\n", outcome(syscall(SYS_bpf, 0, 0, 0)));
    printf("io_uring %s\n", outcome(syscall(SYS_io_uring_setup, 1, 0)));
    printf("shell %s\n", access("/bin/sh", F_OK) ? outcome(-1) : "ok");
    struct rlimit core, size;
    getrlimit(RLIMIT_CORE, &core), getrlimit(RLIMIT_FSIZE, &size);
    printf("core %ld\nfsize %ld\n", (long)core.rlim_max, (long)size.rlim_max);
    char host[65] = {0};
    gethostname(host, 64);
    printf("hostname %s\n", host);
    fflush(stdout);
    return 0;
}
