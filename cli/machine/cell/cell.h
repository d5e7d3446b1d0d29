/* What the parts of authority-cell share. */
#ifndef AUTHORITY_CELL_H
#define AUTHORITY_CELL_H
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file_pump.h"

/* Exit status when the cell could not be made. */
#define CELL_FAILED 120
#define MAX_KEPT 48
#define MAX_CONNECTS 8
#define MAX_BINDS 512
#define MAX_DEVICES 8
/* Descriptors the caller may name lie below; our own short-lived ones may lie anywhere. */
#define FIRST_OWN_FD 64

struct connection {
    int fd;
    const char *path;
};
struct binding {
    const char *source, *target;
};
struct plan {
    int parent;
    int kept, keep[MAX_KEPT];
    int connects;
    struct connection connect[MAX_CONNECTS];
    int binds;
    struct binding bind[MAX_BINDS];
    int devices;
    const char *device[MAX_DEVICES];
    /* Host mounts: the socket of the gate, and for each mount QEMU's end of a pair (`files_fd`) and the pump's. -1: none. */
    int gate;
    int files, files_fd[MAX_DEVICES_OF_FILES];
    struct file_device file[MAX_DEVICES_OF_FILES];
    /* Bytes of the memory QEMU shares with the pump; 0: none. */
    rlim_t shared;
    char **program;
};
/* Who the program runs as. `root`: we started as root of the host and change to uid; otherwise we stay who we are, in a user namespace. */
struct identity {
    int root;
    uid_t uid;
    gid_t gid;
};

__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);
__attribute__((noreturn)) void die_errno(const char *what);

struct identity choose_identity(void);
void enter_namespaces(const struct identity *who);
void build_root(const struct plan *plan, const struct identity *who);
void drop_rights(const struct identity *who);
void limit_resources(rlim_t file_bytes, int devices);
void forbid_system_calls(void);
#endif
