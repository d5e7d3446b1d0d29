/*
 * A hostile PID 1. It owns the whole guest (root, its kernel, every port) and plays the script on the disk: the attacks themselves are data that the test
 * writes (script.ts), so that one small program can say anything. It reads every port all the time, unless told to be deaf, and answers PING like an honest
 * init, unless told not to.
 *
 * Script: records of { u8 op, u8 port, u16 0, u32 arg, u64 bytes } little-endian, then that many bytes. Ports: 0 effects, 1 fuse, 2 control, 3 net.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SEND = 1, AWAIT = 2, DEAF = 3, HANG = 4, MUTE = 5, REBOOT = 6, STAY = 7, PUSH = 8, DIE = 9 };
/* ms without room on a port after which PUSH gives up. */
enum { PATIENCE_MS = 2000 };
enum { PORTS = 4, CONTROL = 2, HEADER = 8 };

struct port {
    int fd;
    int deaf;
    uint64_t frames;
    /* Of the frame being received. */
    unsigned char head[HEADER + 8];
    size_t got;
    /* PINGs to answer once our own frame on the wire is whole. */
    unsigned char echo[4096];
    size_t echoes;
};

static struct port ports[PORTS];
static int mute, stay;

static void load_modules(void) {
    char name[128], path[160];
    FILE *list = fopen("/modules/list", "r");
    while (list && fscanf(list, "%127s", name) == 1) {
        snprintf(path, sizeof path, "/modules/%s", name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) syscall(SYS_finit_module, fd, "", 0), close(fd);
    }
    if (list) fclose(list);
}

static int open_port(const char *wanted) {
    for (int attempt = 0; attempt < 20000; attempt++, usleep(500)) {
        DIR *folder = opendir("/sys/class/virtio-ports");
        struct dirent *entry;
        while (folder && (entry = readdir(folder))) {
            char path[400], name[128] = {0};
            snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", entry->d_name);
            int fd = open(path, O_RDONLY);
            if (fd < 0) continue;
            ssize_t n = read(fd, name, sizeof name - 1);
            close(fd);
            if (n <= 0) continue;
            name[strcspn(name, "\n")] = 0;
            if (strcmp(name, wanted)) continue;
            snprintf(path, sizeof path, "/dev/%s", entry->d_name);
            fd = open(path, O_RDWR | O_NONBLOCK);
            if (fd >= 0) return closedir(folder), fd;
        }
        if (folder) closedir(folder);
    }
    return -1;
}

static uint32_t big_endian(const unsigned char *at) { return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3]; }

/* A whole frame came; its first bytes are in head. */
static void received(struct port *port, size_t size) {
    const unsigned char *item = port->head + HEADER;
    int ping = port == &ports[CONTROL] && item[0] == 0x82 && item[1] == 10;
    if (!ping) port->frames++;
    /* POWER_OFF. */
    if (port == &ports[CONTROL] && item[0] == 0x81 && item[1] == 9 && !stay) reboot(RB_AUTOBOOT);
    /* PING and PONG are the same bytes. */
    if (!ping || size > sizeof port->head || mute) return;
    if (port->echoes + size > sizeof port->echo) return;
    memcpy(port->echo + port->echoes, port->head, size);
    port->echoes += size;
}

static void receive(struct port *port) {
    static unsigned char bytes[1 << 16];
    ssize_t n;
    while ((n = read(port->fd, bytes, sizeof bytes)) > 0) {
        for (ssize_t at = 0; at < n;) {
            if (port->got < HEADER) {
                port->head[port->got++] = bytes[at++];
                continue;
            }
            size_t size = 4 + (size_t)big_endian(port->head), take = size - port->got;
            if (take > (size_t)(n - at)) take = (size_t)(n - at);
            for (size_t i = 0; i < take && port->got + i < sizeof port->head; i++) port->head[port->got + i] = bytes[at + (ssize_t)i];
            port->got += take;
            at += (ssize_t)take;
            if (port->got < size) continue;
            port->got = 0;
            received(port, size);
        }
    }
}

/* Reads what there is, and waits until something happens or `ms` passed (-1: for ever); `writing` may be NULL. Answers whether something happened. */
static int turn(struct port *writing, int ms) {
    struct pollfd fds[PORTS];
    for (int i = 0; i < PORTS; i++) {
        fds[i] = (struct pollfd){ports[i].deaf ? -1 : ports[i].fd, POLLIN, 0};
        if (&ports[i] == writing) fds[i] = (struct pollfd){ports[i].fd, (short)(POLLOUT | (ports[i].deaf ? 0 : POLLIN)), 0};
    }
    int ready = poll(fds, PORTS, ms);
    for (int i = 0; i < PORTS; i++)
        if (!ports[i].deaf && fds[i].revents & (POLLIN | POLLHUP)) receive(&ports[i]);
    return ready > 0;
}

/* Answers 0 when the port took nothing for `ms`. */
static int put(struct port *port, const unsigned char *bytes, size_t count, int ms) {
    while (count > 0) {
        ssize_t n = write(port->fd, bytes, count > 32768 ? 32768 : count);
        if (n > 0) bytes += n, count -= (size_t)n;
        else if (n < 0 && errno != EAGAIN && errno != EINTR) return 1;
        else if (!turn(port, ms)) return 0;
    }
    return 1;
}

static void answer_pings(void) {
    struct port *control = &ports[CONTROL];
    while (control->echoes > 0) {
        unsigned char bytes[sizeof control->echo];
        size_t count = control->echoes;
        memcpy(bytes, control->echo, count);
        control->echoes = 0;
        put(control, bytes, count, -1);
    }
}

static int read_all(int fd, void *into, size_t count) {
    for (size_t got = 0; got < count;) {
        ssize_t n = read(fd, (char *)into + got, count - got);
        if (n <= 0) return -1;
        got += (size_t)n;
    }
    return 0;
}

static void play(int disk) {
    for (;;) {
        struct { uint8_t op, port; uint16_t zero; uint32_t arg; uint64_t bytes; } step;
        if (read_all(disk, &step, sizeof step)) return;
        struct port *port = &ports[step.port < PORTS ? step.port : 0];
        unsigned char *bytes = malloc(step.bytes + 1);
        if (!bytes || read_all(disk, bytes, step.bytes)) return;
        answer_pings();
        if (step.op == SEND)
            for (uint32_t i = 0; i < step.arg; i++) put(port, bytes, step.bytes, -1);
        else if (step.op == PUSH)
            for (uint32_t i = 0; i < step.arg && put(port, bytes, step.bytes, PATIENCE_MS); i++);
        else if (step.op == AWAIT)
            while (port->frames < step.arg) turn(NULL, -1), answer_pings();
        else if (step.op == DEAF) port->deaf = 1;
        else if (step.op == MUTE) mute = 1;
        else if (step.op == STAY) stay = 1;
        else if (step.op == REBOOT) reboot(RB_AUTOBOOT);
        else if (step.op == DIE) _exit(1); /* PID 1 ends: the kernel panics */
        else if (step.op == HANG) return;
        free(bytes);
    }
}

int main(void) {
    static const char *const names[PORTS] = {"authority.effects", "authority.fuse", "authority.control", "authority.net"};
    mkdir("/sys", 0755), mkdir("/dev", 0755);
    mount("sysfs", "/sys", "sysfs", 0, 0), mount("dev", "/dev", "devtmpfs", 0, 0);
    load_modules();
    for (int i = 0; i < PORTS; i++) ports[i].fd = open_port(names[i]);
    play(open("/dev/vda", O_RDONLY));
    for (;;) turn(NULL, -1), answer_pings();
}
