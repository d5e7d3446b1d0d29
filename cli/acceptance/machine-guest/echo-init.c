/* Test init: loads the modules of /modules/list, opens the three ports, says hello on each, echoes until told to end (a chunk that starts with "quit"). */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void load_modules(void) {
    char name[128], path[160];
    FILE *list = fopen("/modules/list", "r");
    while (list && fscanf(list, "%127s", name) == 1) {
        snprintf(path, sizeof path, "/modules/%s", name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || syscall(SYS_finit_module, fd, "", 0)) printf("module %s: %s\n", name, strerror(errno));
        close(fd);
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
            fd = open(path, O_RDWR);
            if (fd >= 0) return closedir(folder), fd;
        }
        if (folder) closedir(folder);
    }
    return -1;
}

/* The devices the guest sees: PCI as vendor:device, and what hangs on virtio, by id. */
static int list_devices(char *out, int room) {
    static const char *const folders[2] = {"/sys/bus/pci/devices", "/sys/bus/virtio/devices"};
    int used = 0;
    for (int i = 0; i < 2; i++) {
        struct dirent **entries;
        int count = scandir(folders[i], &entries, NULL, alphasort);
        for (int j = 0; j < count; j++) {
            char path[400], vendor[16] = "", device[16] = "";
            if (entries[j]->d_name[0] == '.') continue;
            snprintf(path, sizeof path, "%s/%s/vendor", folders[i], entries[j]->d_name);
            FILE *f = fopen(path, "r");
            if (f) (void)!fscanf(f, "%15s", vendor), fclose(f);
            snprintf(path, sizeof path, "%s/%s/device", folders[i], entries[j]->d_name);
            if ((f = fopen(path, "r"))) (void)!fscanf(f, "%15s", device), fclose(f);
            used += snprintf(out + used, room - used, " %s%s:%s", i ? "virtio-" : "", vendor, device);
        }
    }
    return used;
}

static void write_all(int fd, const char *bytes, ssize_t count) {
    for (ssize_t n; count > 0; bytes += n, count -= n)
        if ((n = write(fd, bytes, count)) < 0) return;
}

int main(void) {
    static const char *const names[3] = {"authority.effects", "authority.net", "authority.control"};
    struct pollfd ports[3];
    mkdir("/sys", 0755), mkdir("/dev", 0755), mkdir("/proc", 0755);
    mount("sysfs", "/sys", "sysfs", 0, 0), mount("dev", "/dev", "devtmpfs", 0, 0), mount("proc", "/proc", "proc", 0, 0);
    load_modules();
    for (int i = 0; i < 3; i++) {
        char hello[1024], devices[700] = "", disk[8] = "-";
        ports[i] = (struct pollfd){open_port(names[i]), POLLIN, 0};
        int fd = i == 2 ? open("/dev/vda", O_RDONLY) : -1;
        if (fd >= 0) disk[read(fd, disk, 7)] = 0, close(fd);
        int writable = i == 2 ? open("/dev/vda", O_RDWR) : -1;
        if (i == 2) list_devices(devices, sizeof devices);
        snprintf(hello, sizeof hello, "hello %s %s %s%s\n", names[i], disk, writable >= 0 && write(writable, "x", 1) == 1 && !fsync(writable) ? "rw" : "ro", devices);
        write_all(ports[i].fd, hello, strlen(hello));
    }
    for (;;) {
        static char bytes[65536];
        if (poll(ports, 3, -1) < 0) break;
        for (int i = 0; i < 3; i++) {
            if (!(ports[i].revents & POLLIN)) continue;
            ssize_t n = read(ports[i].fd, bytes, sizeof bytes);
            if (n >= 4 && !memcmp(bytes, "quit", 4)) reboot(RB_AUTOBOOT);
            if (n > 0) write_all(ports[i].fd, bytes, n);
        }
    }
    reboot(RB_AUTOBOOT);
}
