/*
 * The agent of the VM tests: tries things as an ordinary program in the guest and prints one JSON object a line, { "probe": NAME, "got": RESULT }, where RESULT is
 * `ok`, the name of an errno, or what was seen. Usage: probe fences | files DIR | denials N | race FORMAT ROUNDS NAMES | cat CODE | signal N | flood BYTES | exec PATH | wait | spin
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
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static void say(const char *probe, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void quoted(const char *text) {
    putchar('"');
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < 0x20 || *c >= 0x7f || *c == '"' || *c == '\\') printf("\\u%04x", *c);
        else putchar(*c);
    putchar('"');
}

static void say(const char *probe, const char *format, ...) {
    static char text[1 << 16];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    printf("{\"probe\":"), quoted(probe), printf(",\"got\":"), quoted(text), printf("}\n");
}

static const char *name_of(int error) {
    static const struct { int number; const char *name; } names[] = {
        {0, "ok"}, {EPERM, "EPERM"}, {ENOENT, "ENOENT"}, {EIO, "EIO"}, {EACCES, "EACCES"}, {EEXIST, "EEXIST"}, {EXDEV, "EXDEV"}, {ENOTDIR, "ENOTDIR"},
        {EISDIR, "EISDIR"}, {EINVAL, "EINVAL"}, {ENOSYS, "ENOSYS"}, {EOPNOTSUPP, "EOPNOTSUPP"}, {EROFS, "EROFS"}, {ELOOP, "ELOOP"}, {ENOTEMPTY, "ENOTEMPTY"},
        {EAFNOSUPPORT, "EAFNOSUPPORT"}, {ENODEV, "ENODEV"}, {ENXIO, "ENXIO"}, {ESRCH, "ESRCH"}, {EBADF, "EBADF"}, {EFAULT, "EFAULT"}, {ENAMETOOLONG, "ENAMETOOLONG"},
        {EBUSY, "EBUSY"}, {ENOTTY, "ENOTTY"}, {EILSEQ, "EILSEQ"}, {ETXTBSY, "ETXTBSY"}, {ENODATA, "ENODATA"}, {ECONNREFUSED, "ECONNREFUSED"}, {ENETUNREACH, "ENETUNREACH"},
    };
    static char other[32];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == error) return names[i].name;
    snprintf(other, sizeof other, "errno %d", error);
    return other;
}

static const char *result(long value) { return value < 0 ? name_of(errno) : "ok"; }
#define TRY(probe, call) do { errno = 0; say(probe, "%s", result((long)(call))); } while (0)

static long open_close(const char *path, int flags) {
    int fd = open(path, flags, 0644);
    if (fd >= 0) close(fd);
    return fd;
}

static const char *content(const char *path) {
    static char bytes[1 << 15];
    int fd = open(path, O_RDONLY);
    if (fd < 0) return name_of(errno);
    ssize_t n = read(fd, bytes, sizeof bytes - 1);
    int error = errno;
    close(fd);
    if (n < 0) return name_of(error);
    bytes[n] = 0;
    return bytes;
}

static void list(const char *path) {
    char probe[300], text[1 << 15] = "";
    struct dirent **entries;
    snprintf(probe, sizeof probe, "ls %s", path);
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) return say(probe, "%s", name_of(errno));
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        if (strcmp(name, ".") && strcmp(name, "..") && strlen(text) + strlen(name) + 2 < sizeof text) strcat(strcat(text, *text ? " " : ""), name);
    }
    say(probe, "%s", text);
}

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
    TRY("setxattr", setxattr("/out/mine", "user.x", "1", 1, 0));
    TRY("chown", chown("/out/mine", 0, 0));
}

static void stat_of(const char *probe, const char *path) {
    struct stat s;
    if (lstat(path, &s) < 0) say(probe, "%s", name_of(errno));
    else say(probe, "type %o mode %o size %lld links %d", s.st_mode & S_IFMT, s.st_mode & 07777, S_ISREG(s.st_mode) ? (long long)s.st_size : 0LL, S_ISREG(s.st_mode) ? (int)s.st_nlink : 0);
}

/* The same in the guest on a mount and on the host in a plain folder. */
static void files(void) {
    char bytes[64] = "";
    struct stat s;
    umask(022);
    int fd = open("f", O_RDWR | O_CREAT | O_EXCL, 0640);
    TRY("create", fd);
    TRY("create again exclusively", open_close("f", O_WRONLY | O_CREAT | O_EXCL));
    say("write", "%zd", write(fd, "hello world", 11));
    say("pwrite", "%zd", pwrite(fd, "HELLO", 5, 0));
    say("pread", "%zd %.11s", pread(fd, bytes, 11, 0), bytes);
    say("pread past the end", "%zd", pread(fd, bytes, 11, 4096));
    say("seek", "%lld", (long long)lseek(fd, 0, SEEK_END));
    TRY("fsync", fsync(fd));
    TRY("fdatasync", fdatasync(fd));
    TRY("ftruncate", ftruncate(fd, 5));
    if (fstat(fd, &s) == 0) say("fstat", "%lld", (long long)s.st_size);
    TRY("close", close(fd));
    stat_of("stat", "f");
    fd = open("f", O_WRONLY | O_APPEND);
    say("append", "%zd", write(fd, "+more", 5));
    say("append at an offset", "%zd", pwrite(fd, "!", 1, 0));
    close(fd);
    say("content", "%s", content("f"));
    TRY("truncate longer", truncate("f", 20));
    stat_of("stat longer", "f");
    TRY("open with O_TRUNC", open_close("f", O_WRONLY | O_TRUNC));
    stat_of("stat truncated", "f");
    TRY("mkdir", mkdir("d", 0750));
    TRY("mkdir again", mkdir("d", 0750));
    stat_of("stat directory", "d");
    TRY("rename into", rename("f", "d/g"));
    TRY("rename of nothing", rename("f", "d/h"));
    stat_of("stat renamed", "d/g");
    TRY("rmdir not empty", rmdir("d"));
    TRY("open a directory for writing", open_close("d", O_WRONLY));
    TRY("open below a file", open_close("d/g/x", O_RDONLY));
    TRY("unlink a directory", unlink("d"));
    TRY("rmdir a file", rmdir("d/g"));
    for (int i = 0; i < 300; i++) {
        char name[64];
        snprintf(name, sizeof name, "d/entry-%03d-%.*s", i, i % 40, "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn");
        if (open_close(name, O_WRONLY | O_CREAT) < 0) say("many", "%s", name_of(errno));
    }
    list("d");
    TRY("chmod", chmod("d/g", 0600));
    stat_of("stat chmod", "d/g");
    struct timespec times[2] = {{1000000000, 123456000}, {1234567890, 987654000}};
    TRY("utimens", utimensat(AT_FDCWD, "d/g", times, 0));
    stat("d/g", &s);
    say("times", "%lld.%09ld", (long long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
    TRY("rename over", rename("d/entry-000-", "d/g"));
    TRY("exchange", syscall(SYS_renameat2, AT_FDCWD, "d/g", AT_FDCWD, "d/entry-001-n", 2));
    TRY("rename without replacing", syscall(SYS_renameat2, AT_FDCWD, "d/g", AT_FDCWD, "d/entry-001-n", 1));
    TRY("symlink", symlink("d/g", "s"));
    say("readlink", "%zd %.3s", readlink("s", bytes, sizeof bytes), bytes);
    TRY("through the symlink", open_close("s", O_RDONLY));
    TRY("O_NOFOLLOW", open_close("s", O_RDONLY | O_NOFOLLOW));
    TRY("link", link("d/g", "hard"));
    stat_of("stat linked", "hard");
    TRY("fsync of a directory", fsync(open("d", O_RDONLY | O_DIRECTORY)));
    TRY("name with a newline", open_close("line\nfeed", O_WRONLY | O_CREAT));
    TRY("name of 256 bytes", open_close("0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
        "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345", O_WRONLY | O_CREAT));
    TRY("access of nothing", access("none", F_OK));
    TRY("stat of nothing", stat("none", &s));
    fd = open("unlinked", O_RDWR | O_CREAT, 0600);
    unlink("unlinked");
    say("write to an unlinked file", "%zd", write(fd, "x", 1));
    say("read of an unlinked file", "%zd", pread(fd, bytes, 1, 0));
    close(fd);
    list(".");
    static char big[1 << 20];
    for (size_t i = 0; i < sizeof big; i++) big[i] = (char)(i * 7);
    fd = open("big", O_RDWR | O_CREAT, 0644);
    TRY("fallocate", fallocate(fd, 0, 0, 4096));
    stat_of("stat allocated", "big");
    say("write 1 MiB", "%zd", write(fd, big, sizeof big));
    static char back[1 << 20];
    ssize_t got = 0, n;
    while ((n = pread(fd, back + got, sizeof back - (size_t)got, got)) > 0) got += n;
    say("read 1 MiB", "%zd %s", got, memcmp(big, back, sizeof big) ? "different" : "same");
    close(fd);
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
