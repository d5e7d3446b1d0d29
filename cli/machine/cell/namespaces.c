/* Namespaces and the root file system of the cell. */
#define _GNU_SOURCE
#include "cell.h"
#include <sys/sysmacros.h>

void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("authority-cell: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    _exit(CELL_FAILED);
}

void die_errno(const char *what) {
    die("%s: %s", what, strerror(errno));
}

static void write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) die_errno(path);
    if (write(fd, text, strlen(text)) != (ssize_t)strlen(text)) die_errno(path);
    close(fd);
}

/*
 * As root each cell gets a uid of its own, from a range no system allots (above the container ranges), so that two cells cannot signal or count
 * against each other even where the process numbers are shared. Where such a uid does not exist (root of a container), 65534 has to do.
 */
#define CELL_UID_BASE 1879048192u
#define CELL_UID_MASK 0x3fffffu

struct identity choose_identity(void) {
    if (geteuid() != 0) return (struct identity){0, geteuid(), getegid()};
    uid_t uid = CELL_UID_BASE + ((uint32_t)getpid() & CELL_UID_MASK);
    return (struct identity){1, uid, uid};
}

void enter_namespaces(const struct identity *who) {
    if (!who->root) {
        char map[64];
        if (unshare(CLONE_NEWUSER)) {
            die("this user may not make a user namespace (%s); fix: sudo sysctl -w user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1, or run as root",
                strerror(errno));
        }
        write_file("/proc/self/setgroups", "deny");
        snprintf(map, sizeof map, "%u %u 1", who->uid, who->uid);
        write_file("/proc/self/uid_map", map);
        snprintf(map, sizeof map, "%u %u 1", who->gid, who->gid);
        write_file("/proc/self/gid_map", map);
    }
    if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID | CLONE_NEWCGROUP)) {
        die("cannot make the cell's namespaces (%s); fix: %s", strerror(errno),
            who->root ? "give this container CAP_SYS_ADMIN, or run outside it" : "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or run as root");
    }
    if (sethostname("cell", 4)) die_errno("sethostname");
    if (mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL)) die_errno("making mounts private");
}

/* Makes every directory above `path`, which is absolute. */
static void make_parents(const char *path) {
    char copy[4096];
    snprintf(copy, sizeof copy, "%s", path);
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(copy, 0755) && errno != EEXIST) die_errno(copy);
        *slash = '/';
    }
}

static void bind_one(const char *source, const char *target) {
    char from[4200];
    struct stat st;
    snprintf(from, sizeof from, "/old%s", source);
    if (lstat(from, &st)) die_errno(source);
    make_parents(target);
    if (S_ISDIR(st.st_mode)) {
        if (mkdir(target, 0755) && errno != EEXIST) die_errno(target);
    } else if (S_ISLNK(st.st_mode)) {
        die("a symbolic link cannot be brought into the cell: %s", source);
    } else {
        int fd = open(target, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0444);
        if (fd < 0) die_errno(target);
        close(fd);
    }
    if (mount(from, target, NULL, MS_BIND | MS_REC, NULL)) die_errno(target);
}

static void add_device(const char *name, const struct identity *who) {
    char source[300], target[300], from[310];
    struct stat st;
    snprintf(source, sizeof source, "/dev/%.200s", name);
    snprintf(target, sizeof target, "/dev/%.200s", name);
    snprintf(from, sizeof from, "/old%s", source);
    if (lstat(from, &st)) die_errno(source);
    if (!S_ISCHR(st.st_mode)) die("not a character device: %s", source);
    /* Our own node, because the host's may be closed to the uid we become; where that is forbidden, the host's. */
    if (who->root && !mknod(target, S_IFCHR | 0666, st.st_rdev)) {
        if (chmod(target, 0666)) die_errno(target);
        return;
    }
    bind_one(source, target);
}

/* mount_setattr(2), Linux 5.12. Only adds flags, so that what the host locked stays locked. */
struct attributes {
    uint64_t set, clear, propagation, user_ns;
};
#define ATTR_RDONLY 0x1
#define ATTR_NOSUID 0x2
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

void build_root(const struct plan *plan, const struct identity *who) {
    static const char *const places[] = {"/tmp", "/run", "/mnt", "/var"};
    const char *base = NULL;
    struct stat st;
    for (unsigned i = 0; i < sizeof places / sizeof *places && !base; i++)
        if (!lstat(places[i], &st) && S_ISDIR(st.st_mode)) base = places[i];
    if (!base) die("no folder to build the cell in");
    if (mount("cell", base, "tmpfs", MS_NOSUID, "mode=0755,size=4m,nr_inodes=4096")) {
        die("cannot mount in the cell (%s); fix: %s", strerror(errno),
            who->root ? "give this container CAP_SYS_ADMIN, or run outside it" : "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or run as root");
    }
    if (chdir(base) || mkdir("old", 0700) || mkdir("dev", 0755)) die_errno(base);
    if (syscall(SYS_pivot_root, ".", "old") || chdir("/")) die_errno("pivot_root");
    for (int i = 0; i < plan->devices; i++) add_device(plan->device[i], who);
    for (int i = 0; i < plan->binds; i++) bind_one(plan->bind[i].source, plan->bind[i].target);
    if (umount2("/old", MNT_DETACH) || rmdir("/old")) die_errno("leaving the old root");
    struct attributes attributes = {.set = ATTR_RDONLY | ATTR_NOSUID};
    if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attributes, sizeof attributes)) die_errno("mount_setattr (Linux 5.12 or newer is needed)");
}
