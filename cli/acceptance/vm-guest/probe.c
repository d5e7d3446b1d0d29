/*
 * The agent of the VM tests: tries things as an ordinary program in the guest and prints one JSON object a line, { "probe": NAME, "got": RESULT }, where RESULT is
 * `ok`, the name of an errno, or what was seen. Usage: probe fences | files DIR | denials N | race FORMAT ROUNDS NAMES | mounted FILE READONLY FOLDER | machine | eat | eat-child | orphans N | cat CODE | signal N | flood BYTES | exec PATH | wait | spin
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "say.h"
#include "files.h"

/* A line of /proc/self/status without its name. */
static void status(const char *field) {
    char probe[64], *line = NULL;
    size_t room = 0;
    FILE *file = fopen("/proc/self/status", "r");
    snprintf(probe, sizeof probe, "status %s", field);
    while (file && getline(&line, &room, file) > 0)
        if (!strncmp(line, field, strlen(field)) && line[strlen(field)] == ':') {
            char *value = line + strlen(field) + 1;
            value += strspn(value, "\t ");
            value[strcspn(value, "\n")] = 0;
            for (char *c = value; *c; c++) if (*c == '\t') *c = ' ';
            say(probe, "%s", value);
        }
    if (file) fclose(file);
}

static int run_and_wait(void (*body)(void)) {
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) body(), _exit(0);
    waitpid(child, &status, 0);
    return status;
}

#ifdef __x86_64__
static void foreign_call(void) {
    long out;
    /* getpid of the 32-bit ABI. */
    __asm__ volatile("int $0x80" : "=a"(out) : "a"(20) : "memory");
}
static void x32_call(void) { syscall(0x40000000 | SYS_getpid); }
#endif

static void calls(void) {
    static unsigned long long zeros[32];
    TRY("call mount", mount("none", "/tmp", "tmpfs", 0, NULL));
    TRY("call umount2", umount2("/proc", MNT_DETACH));
    TRY("call fsopen", syscall(SYS_fsopen, "tmpfs", 0));
    TRY("call open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
    TRY("call move_mount", syscall(SYS_move_mount, -1, "", -1, "", 0));
    TRY("call pivot_root", syscall(SYS_pivot_root, "/", "/"));
    TRY("call chroot", chroot("/"));
    TRY("call unshare user", unshare(CLONE_NEWUSER));
    TRY("call unshare mount", unshare(CLONE_NEWNS));
    TRY("call clone new user", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
    TRY("call clone3", syscall(SYS_clone3, zeros, 88));
    TRY("call setns", setns(open("/proc/1/ns/mnt", O_RDONLY), 0));
    TRY("call bpf", syscall(SYS_bpf, 0, zeros, sizeof zeros));
    /* Without the filter the kernel looks at the size first (E2BIG), whoever asks. */
    TRY("call bpf with too large an argument", syscall(SYS_bpf, 7, zeros, 1 << 20));
    TRY("call ptrace 1", ptrace(PTRACE_ATTACH, 1, 0, 0));
    TRY("call process_vm_readv 1", syscall(SYS_process_vm_readv, 1, zeros, 1, zeros, 1, 0));
    TRY("call process_vm_writev 1", syscall(SYS_process_vm_writev, 1, zeros, 1, zeros, 1, 0));
    TRY("call kill 1", kill(1, SIGKILL));
    TRY("call pidfd_getfd", syscall(SYS_pidfd_getfd, (int)syscall(SYS_pidfd_open, 1, 0), 0, 0));
    TRY("call reboot", syscall(SYS_reboot, 0xfee1dead, 0x28121969, 0x4321fedc, 0));
    TRY("call kexec_load", syscall(SYS_kexec_load, 0, 0, 0, 0));
    TRY("call init_module", syscall(SYS_init_module, zeros, 8, ""));
    TRY("call finit_module", syscall(SYS_finit_module, 0, "", 0));
    TRY("call delete_module", syscall(SYS_delete_module, "erofs", 0));
    TRY("call io_uring_setup", syscall(SYS_io_uring_setup, 1, zeros));
    TRY("call userfaultfd", syscall(SYS_userfaultfd, 0));
    TRY("call perf_event_open", syscall(SYS_perf_event_open, zeros, 0, -1, -1, 0));
    TRY("call keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
    TRY("call open_by_handle_at", syscall(SYS_open_by_handle_at, AT_FDCWD, zeros, 0));
    TRY("call fanotify_init", syscall(SYS_fanotify_init, 0, 0));
    TRY("call swapon", syscall(SYS_swapon, "/tmp/x", 0));
    TRY("call sethostname", sethostname("x", 1));
    TRY("call settimeofday", syscall(SYS_settimeofday, zeros, 0));
    TRY("call syslog", syscall(SYS_syslog, 3, zeros, 8));
    TRY("call setuid 0", setuid(0));
    TRY("call setgid 0", setgid(0));
    TRY("call mknod char", mknod("/tmp/null", S_IFCHR | 0666, 0x0103));
    TRY("socket vsock", socket(40, SOCK_STREAM, 0));
    TRY("socket packet", socket(AF_PACKET, SOCK_RAW, 0));
    TRY("socket alg", socket(38, SOCK_SEQPACKET, 0));
    TRY("socket netlink audit", socket(AF_NETLINK, SOCK_RAW, 9));
    TRY("socket raw", socket(AF_INET, SOCK_RAW, 1));
    TRY("socket tcp", socket(AF_INET, SOCK_STREAM, 0));
#ifdef __x86_64__
    say("call iopl", "%s", result(syscall(SYS_iopl, 3)));
    int how = run_and_wait(foreign_call);
    say("32-bit ABI", "%s", WIFSIGNALED(how) ? strsignal(WTERMSIG(how)) : "went on");
    how = run_and_wait(x32_call);
    say("x32 ABI", "%s", WIFSIGNALED(how) ? strsignal(WTERMSIG(how)) : "went on");
#endif
}

static void fences(void) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct caps[2] = {{0}, {0}};
    syscall(SYS_capget, &head, caps);
    say("capabilities", "%x%x %x%x", caps[1].permitted, caps[0].permitted, caps[1].effective, caps[0].effective);
    for (int cap = 0, left = 0; cap <= 40; cap++) {
        left += prctl(PR_CAPBSET_READ, cap) == 1;
        if (cap == 40) say("bounding set", "%d", left);
    }
    say("ids", "%d %d %d %d %d", getuid(), geteuid(), getgid(), getegid(), getgroups(0, NULL));
    say("no new privileges", "%d", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    for (const char *const *f = (const char *const[]){"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", NULL}; *f; f++) status(*f);
    static const char *const folders[] = {"/", "/dev", "/dev/pts", "/sys", "/run", "/run/authority", "/proc/1", "/proc/1/fd", "/sys/bus/pci/devices", "/sys/class/net", "/modules", "/data", "/tmp"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) list(folders[i]);
    static const char *const files[] = {"/proc/partitions", "/proc/net/dev", "/proc/1/environ", "/proc/1/maps", "/proc/1/mem", "/proc/kcore", "/proc/kallsyms", "/proc/kmsg",
        "/proc/sysrq-trigger", "/dev/vda", "/dev/fuse", "/dev/vport0p1", "/dev/vport1p1", "/dev/mem", "/dev/kmsg", "/dev/port", "/dev/console", "/dev/ttyS0", "/init"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char probe[128];
        snprintf(probe, sizeof probe, "read %s", files[i]);
        say(probe, "%s", content(files[i]));
    }
    TRY("write /proc/sysrq-trigger", open_close("/proc/sysrq-trigger", O_WRONLY));
    TRY("write /proc/sys/kernel/core_pattern", open_close("/proc/sys/kernel/core_pattern", O_WRONLY));
    TRY("write /proc/1/oom_score_adj", open_close("/proc/1/oom_score_adj", O_WRONLY));
    TRY("write /dev/kmsg", open_close("/dev/kmsg", O_WRONLY));
    TRY("replace the gate's socket", unlink("/run/authority/gate.sock"));
    TRY("image: granted file", open_close("/etc/granted.txt", O_RDONLY));
    say("image: granted content", "%s", content("/etc/granted.txt"));
    TRY("image: file not granted", open_close("/etc/denied.txt", O_RDONLY));
    TRY("image: through a link", open_close("/etc/link-to-denied", O_RDONLY));
    TRY("image: through /proc/self/root", open_close("/proc/self/root/etc/denied.txt", O_RDONLY));
    TRY("image: through ..", open_close("/data/../etc/denied.txt", O_RDONLY));
    TRY("image: write", open_close("/etc/granted.txt", O_WRONLY));
    TRY("image: create", open_close("/etc/new", O_WRONLY | O_CREAT));
    TRY("scratch: granted", open_close("/tmp/work/x", O_WRONLY | O_CREAT));
    TRY("scratch: elsewhere", open_close("/tmp/x", O_WRONLY | O_CREAT));
    TRY("scratch: home", open_close("/x", O_WRONLY | O_CREAT));
    calls();
}

/* What the host would run later, by every way a file comes to its name and contents. `.profile` was there before the run. */
static void guarded(void) {
    char *map;
    TRY("guarded: created", open_close("/out/.envrc", O_WRONLY | O_CREAT));
    TRY("guarded: renamed into place", rename("/out/mine", "/out/.envrc"));
    TRY("guarded: exchanged into place", syscall(SYS_renameat2, AT_FDCWD, "/out/mine", AT_FDCWD, "/out/.profile", 2));
    TRY("guarded: linked", link("/out/mine", "/out/.zshrc"));
    TRY("guarded: a link made", symlink("mine", "/out/.zshrc"));
    TRY("guarded: the folder alone", mkdir("/out/.vscode", 0755));
    TRY("guarded: the folder filled", open_close("/out/.vscode/tasks.json", O_WRONLY | O_CREAT));
    TRY("guarded: the folder filled with what is harmless", open_close("/out/.vscode/notes", O_WRONLY | O_CREAT));
    TRY("guarded: beside it", mkdir("/out/fake", 0755) | mkdir("/out/fake/hooks", 0755) | open_close("/out/fake/hooks/pre-commit", O_WRONLY | O_CREAT));
    TRY("guarded: a filled folder renamed into place", rename("/out/fake", "/out/.git"));
    TRY("guarded: its inner folder renamed into place", mkdir("/out/.git", 0755) | rename("/out/fake/hooks", "/out/.git/hooks"));
    TRY("guarded: written", open_close("/out/.profile", O_WRONLY));
    TRY("guarded: truncated", truncate("/out/.profile", 0));
    TRY("guarded: truncated by a reader", open_close("/out/.profile", O_RDONLY | O_TRUNC));
    TRY("guarded: made executable", chmod("/out/.profile", 0755));
    TRY("guarded: removed", unlink("/out/.profile"));
    int fd = open("/out/.profile", O_RDONLY);
    TRY("guarded: mapped to be changed", (map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED ? -1 : 0);
    close(fd);
    /* A file that is open and mapped gets no guarded name under which the mapping would change it. */
    fd = open("/out/mapped", O_RDWR | O_CREAT, 0644);
    TRY("guarded: mapped first", ftruncate(fd, 4096));
    map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    TRY("guarded: mapped first, then renamed into place", rename("/out/mapped", "/out/.bash_profile"));
    if (map != MAP_FAILED) map[0] = 'x';
    TRY("guarded: mapped first, changed", msync(map, 4096, MS_SYNC));
    close(fd);
}

static void escapes(void) {
    static const char *const ways[] = {"/data/../outside/secret.txt", "/data/link-file", "/data/link-folder/secret.txt", "/data/link-absolute", "/data/link-proc/etc/denied.txt",
        "/proc/self/root/data/../outside/secret.txt", "/data/private/secret.txt", "/data/./private//secret.txt", "/data/sub/../private/secret.txt", "/data/link-denied", "/data/read.txt\n", "/data/\xff\xfe"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char probe[160];
        snprintf(probe, sizeof probe, "read %s", ways[i]);
        say(probe, "%s", content(ways[i]));
    }
    say("read /data/read.txt", "%s", content("/data/read.txt"));
    TRY("link out of the mount", link("/data/private/secret.txt", "/out/stolen"));
    TRY("link of a granted file", link("/data/read.txt", "/out/stolen"));
    TRY("rename across mounts", rename("/out/none", "/data/none"));
    open_close("/out/mine", O_WRONLY | O_CREAT);
    TRY("rename to the other mount", rename("/out/mine", "/data/mine"));
    TRY("rename out of the other mount", rename("/data/read.txt", "/out/taken"));
    TRY("rename with ..", rename("/out/mine", "/out/../outside/mine"));
    TRY("symlink that escapes", symlink("../outside/secret.txt", "/out/planted"));
    TRY("symlink to an absolute path", symlink("/etc/passwd", "/out/planted"));
    TRY("symlink inside", symlink("mine", "/out/inside"));
    TRY("O_TMPFILE", open_close("/out", O_TMPFILE | O_WRONLY));
    TRY("setuid bit", chmod("/out/mine", 04755));
    TRY("device", mknod("/out/device", S_IFCHR | 0666, 0x0103));
    TRY("fifo", mknod("/out/fifo", S_IFIFO | 0666, 0));
    TRY("write where only reading is granted", open_close("/data/read.txt", O_WRONLY));
    TRY("create where only reading is granted", open_close("/data/new", O_WRONLY | O_CREAT));
    TRY("truncate where only reading is granted", truncate("/data/read.txt", 0));
    TRY("unlink where only reading is granted", unlink("/data/read.txt"));
    TRY("a file the host would run", open_close("/out/.bashrc", O_WRONLY | O_CREAT));
    guarded();
    TRY("setxattr", setxattr("/out/mine", "user.x", "1", 1, 0));
    TRY("chown", chown("/out/mine", 0, 0));
}

/* Opens the paths a format gives for 0…names-1 in turn; counts what the content came from. */
static void race(const char *format, int rounds, int names) {
    int outside = 0, inside = 0, refused = 0;
    for (int i = 0; i < rounds; i++) {
        char bytes[64] = "", path[128];
        const char *number = strstr(format, "%d");
        snprintf(path, sizeof path, "%.*s%d%s", number ? (int)(number - format) : 0, format, i % names, number ? number + 2 : "");
        int fd = open(path, O_RDONLY);
        if (fd < 0 || read(fd, bytes, sizeof bytes - 1) <= 0) refused++;
        else if (strstr(bytes, "outside")) outside++;
        else inside++;
        if (fd >= 0) close(fd);
    }
    say("race", "outside %d", outside);
    say("race rounds", "%d", inside + refused + outside);
    say("race seen inside", "%s", inside > 0 ? "yes" : "no");
}

/* A file mounted writable, one read-only, and a folder with `held`, which a program of the host keeps locked. */
static void mounted(const char *file, const char *readonly, const char *folder) {
    char beside[512], bytes[64] = "";
    say("file", "%s", content(file));
    stat_of("stat of the file", file);
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    say("write", "%zd", write(fd, "from the guest", 14));
    TRY("fsync", fsync(fd));
    close(fd);
    fd = open(file, O_WRONLY | O_APPEND);
    say("append", "%zd", write(fd, "+", 1));
    close(fd);
    TRY("truncate", truncate(file, 14));
    snprintf(beside, sizeof beside, "%s.new", file);
    TRY("unlink", unlink(file));
    TRY("rename", rename(file, beside));
    snprintf(beside, sizeof beside, "%s/below", file);
    TRY("open below", open_close(beside, O_WRONLY | O_CREAT));
    snprintf(beside, sizeof beside, "%s/new", folder);
    open_close(beside, O_WRONLY | O_CREAT);
    TRY("rename over", rename(beside, file));
    snprintf(beside, sizeof beside, "%s/.envrc", folder);
    TRY("a guarded name a literal rule allows", open_close(beside, O_WRONLY | O_CREAT));
    snprintf(beside, sizeof beside, "%s/.profile", folder);
    TRY("a guarded name no literal rule allows", open_close(beside, O_WRONLY | O_CREAT));
    TRY("getxattr", getxattr(file, "user.x", bytes, sizeof bytes));
    TRY("listxattr", listxattr(file, bytes, sizeof bytes));
    TRY("read-only file", open_close(readonly, O_RDONLY));
    TRY("write to the read-only file", open_close(readonly, O_WRONLY));
    TRY("truncate the read-only file", truncate(readonly, 0));

    snprintf(beside, sizeof beside, "%s/held", folder);
    fd = open(beside, O_RDWR);
    TRY("flock of what the host holds", flock(fd, LOCK_EX | LOCK_NB));
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    TRY("lock of what the host holds", fcntl(fd, F_SETLK, &range));
    fcntl(fd, F_GETLK, &range);
    say("who holds it", "%s %d", range.l_type == F_WRLCK ? "exclusive" : "other", range.l_pid);
    close(fd);
    fd = open(beside, O_RDWR);
    range = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1};
    TRY("lock beside it", fcntl(fd, F_SETLK, &range));
    TRY("hole", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4));
    say("holed", "%zd %d%d%d%d %.3s", pread(fd, bytes, 8, 0), bytes[0], bytes[1], bytes[2], bytes[3], bytes + 4);
    say("locked", "%s", "yes");
    fflush(stdout);
    /* Until the host has looked. */
    if (read(0, bytes, 1) < 0) say("stdin", "%s", name_of(errno));
}

static void eat(void) {
    for (;;) {
        char *page = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) continue;
        memset(page, 1, 1 << 20);
    }
}

static void machine(void) {
    char *line = NULL;
    size_t room = 0;
    long kib = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    if (file && getline(&line, &room, file) > 0) sscanf(line, "MemTotal: %ld", &kib);
    say("processors", "%ld", sysconf(_SC_NPROCESSORS_ONLN));
    say("memory", "%ld", kib / 1024);
}

/* Children whose parent is gone: nobody but init can reap them. */
static void orphans(int count) {
    int left = 0;
    for (int i = 0; i < count; i++) {
        pid_t middle = fork();
        if (middle == 0) {
            if (fork() == 0) _exit(0);
            _exit(0);
        }
        waitpid(middle, NULL, 0);
    }
    for (int tries = 0; tries < 1000; tries++) {
        struct dirent *entry;
        DIR *all = opendir("/proc");
        left = 0;
        while (all && (entry = readdir(all))) left += entry->d_name[0] >= '0' && entry->d_name[0] <= '9';
        if (all) closedir(all);
        if (left == 1) break;
        struct timespec moment = {0, 5000000};
        nanosleep(&moment, NULL);
    }
    say("processes left", "%d", left);
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    const char *argument = argc > 2 ? argv[2] : "";
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    if (!strcmp(mode, "fences")) fences(), escapes();
    if (!strcmp(mode, "files")) {
        if (chdir(argument)) return 9;
        files();
    }
    if (!strcmp(mode, "denials"))
        for (int i = 0; i < atoi(argument); i++) {
            char path[64];
            snprintf(path, sizeof path, "/data/private/n-%d", i % 100);
            if (open_close(path, O_RDONLY) >= 0) return 8;
        }
    if (!strcmp(mode, "race") && argc > 4) race(argument, atoi(argv[3]), atoi(argv[4]));
    if (!strcmp(mode, "mounted") && argc > 4) mounted(argument, argv[3], argv[4]);
    if (!strcmp(mode, "machine")) machine();
    if (!strcmp(mode, "eat")) eat();
    if (!strcmp(mode, "eat-child")) {
        int how = run_and_wait(eat);
        say("child", "%s", WIFSIGNALED(how) ? strsignal(WTERMSIG(how)) : "ended");
    }
    if (!strcmp(mode, "orphans")) orphans(atoi(argument));
    if (!strcmp(mode, "cat")) {
        char bytes[4096];
        for (ssize_t n; (n = read(0, bytes, sizeof bytes)) > 0;) fwrite(bytes, 1, (size_t)n, stdout);
        fflush(stdout);
        return atoi(argument);
    }
    if (!strcmp(mode, "signal")) raise(atoi(argument));
    if (!strcmp(mode, "flood")) {
        char line[64];
        for (long left = atol(argument), i = 0; left > 0; left -= 64, i++) {
            memset(line, 'a' + (int)(i % 26), sizeof line - 1);
            line[63] = '\n';
            fwrite(line, 1, sizeof line, stdout);
        }
    }
    if (!strcmp(mode, "exec")) {
        execl(argument, argument, (char *)NULL);
        say("exec", "%s", name_of(errno));
    }
    if (!strcmp(mode, "wait")) {
        say("wait", "begun");
        fflush(stdout);
        signal(SIGINT, SIG_IGN);
        for (;;) pause();
    }
    if (!strcmp(mode, "spin"))
        for (volatile unsigned long i = 0;; i++);
    fflush(stdout);
    return 0;
}
