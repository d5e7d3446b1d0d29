/*
 * A hostile PID 1 that drives the first virtio-fs device itself, without its kernel's driver: an honest FUSE INIT first, whose answer shows that the queue works, then
 * what ATTACK says. The machine must be gone soon after; where it is not, it restarts, which the test tells from that.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEVICE "/sys/bus/pci/devices/0000:00:08.0/"
enum { PAGE = 4096, SIZE = 128, REQUEST_QUEUE = 1, PATIENCE_MS = 20000 };
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };
/* virtio 1.2, 4.1.4.3: offsets of the common configuration. */
enum { FEATURE_SELECT = 8, FEATURES = 12, STATUS = 20, QUEUE_SELECT = 22, QUEUE_SIZE = 24, QUEUE_ENABLE = 28, NOTIFY_OFFSET = 30, DESCRIPTORS = 32, AVAILABLE = 40, USED = 48 };
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum attack { LOOP = 1, OUTSIDE, HUGE_LENGTH, HEAD_BEYOND, INDEX_JUMPS, NESTED_TABLE, LONG_TABLE, ANSWER_FIRST, NO_ROOM, NO_REQUEST };

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

static volatile uint8_t *common, *notify;
static struct descriptor *table;
static volatile uint16_t *available, *used;
static uint8_t *request, *answer;

static _Noreturn void restart(const char *why) {
    fprintf(stderr, "%s\n", why);
    reboot(RB_AUTOBOOT);
    _exit(1);
}

static int open_file(const char *name) {
    char path[128];
    snprintf(path, sizeof path, DEVICE "%s", name);
    return open(path, O_RDWR);
}

static void say(const char *name, const char *text) {
    int fd = open_file(name);
    if (fd >= 0 && write(fd, text, strlen(text)) >= 0) close(fd);
}

static uint8_t *page(void) {
    uint8_t *one = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE, -1, 0);
    if (one == MAP_FAILED) restart("no page");
    return memset(one, 0, PAGE);
}

/* Where the page lies in the machine's memory. */
static uint64_t physical(const volatile void *at) {
    uint64_t entry = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY);
    if (pread(fd, &entry, sizeof entry, (off_t)((uintptr_t)at / PAGE * sizeof entry)) != sizeof entry) restart("no pagemap");
    close(fd);
    return (entry & ((UINT64_C(1) << 55) - 1)) * PAGE + (uintptr_t)at % PAGE;
}

static volatile uint8_t *bar(int number, uint32_t offset) {
    char name[16];
    snprintf(name, sizeof name, "resource%d", number);
    int fd = open_file(name);
    uint8_t *mapped = mmap(NULL, 0x4000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) restart("no registers");
    return mapped + offset;
}

static void find_registers(uint32_t *multiplier) {
    uint8_t config[256];
    int fd = open_file("config");
    if (fd < 0 || pread(fd, config, sizeof config, 0) != sizeof config) restart("no device");
    config[4] |= 6;
    if (pwrite(fd, config + 4, 2, 4) != 2) restart("no bus mastering");
    for (unsigned at = config[0x34]; at != 0; at = config[at + 1]) {
        uint32_t offset;
        memcpy(&offset, config + at + 8, sizeof offset);
        if (config[at] != 9) continue;
        if (config[at + 3] == 1) common = bar(config[at + 4], offset);
        if (config[at + 3] == 2) {
            notify = bar(config[at + 4], offset);
            memcpy(multiplier, config + at + 16, sizeof *multiplier);
        }
    }
    if (common == NULL || notify == NULL) restart("no virtio device");
}

static void set16(int at, uint16_t value) { *(volatile uint16_t *)(common + at) = value; }
static void set32(int at, uint32_t value) { *(volatile uint32_t *)(common + at) = value; }
static void set_address(int at, uint64_t value) { set32(at, (uint32_t)value), set32(at + 4, (uint32_t)(value >> 32)); }

static void start_device(void) {
    uint32_t multiplier = 0;
    say("driver/unbind", "0000:00:08.0");
    say("enable", "1");
    find_registers(&multiplier);
    table = (struct descriptor *)page(), available = (uint16_t *)page(), used = (uint16_t *)page();
    request = page(), answer = page();
    common[STATUS] = 0;
    common[STATUS] = ACKNOWLEDGE | DRIVER;
    set32(FEATURE_SELECT, 1), set32(FEATURES, 1 /* VERSION_1 */);
    common[STATUS] = ACKNOWLEDGE | DRIVER | FEATURES_OK;
    for (uint16_t queue = 0; queue <= REQUEST_QUEUE; queue++) {
        int own = queue == REQUEST_QUEUE;
        set16(QUEUE_SELECT, queue), set16(QUEUE_SIZE, SIZE);
        set_address(DESCRIPTORS, physical(own ? (void *)table : page()));
        set_address(AVAILABLE, physical(own ? (volatile void *)available : page()));
        set_address(USED, physical(own ? (volatile void *)used : page()));
        set16(QUEUE_ENABLE, 1);
    }
    notify += *(volatile uint16_t *)(common + NOTIFY_OFFSET) * multiplier;
    common[STATUS] = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
}

static void describe(int at, uint64_t address, uint32_t length, uint16_t flags, uint16_t next) {
    table[at] = (struct descriptor){address, length, flags, next};
}

static void offer(uint16_t head) {
    available[2 + available[1] % SIZE] = head;
    __sync_synchronize();
    available[1]++;
    __sync_synchronize();
    *(volatile uint16_t *)notify = REQUEST_QUEUE;
}

/* FUSE_INIT 7.38, read-ahead 128 KiB. */
static void honest(uint64_t unique) {
    const uint32_t words[] = {56, 26, (uint32_t)unique, (uint32_t)(unique >> 32), 0, 0, 0, 0, 0, 0, 7, 38, 131072, 0};
    memcpy(request, words, sizeof words);
    describe(0, physical(request), 56, NEXT, 1);
    describe(1, physical(answer), 80, WRITE, 0);
}

static void wait_for(uint16_t count, const char *otherwise) {
    for (int waited = 0; used[1] != count; waited++, usleep(1000))
        if (waited == PATIENCE_MS) restart(otherwise);
}

static void attack(void) {
    uint16_t head = 0;
    honest(2);
    switch ((enum attack)ATTACK) {
    case LOOP: describe(0, physical(request), 56, NEXT, 0); break;
    case OUTSIDE: describe(0, UINT64_C(1) << 40, 56, NEXT, 1); break;
    case HUGE_LENGTH: describe(0, physical(request), UINT32_MAX, NEXT, 1); break;
    case HEAD_BEYOND: head = SIZE; break;
    case INDEX_JUMPS: available[1] = (uint16_t)(available[1] + SIZE + 1); break;
    case NESTED_TABLE:
        memcpy(answer, &(struct descriptor){physical(answer), 16, INDIRECT, 0}, 16);
        describe(0, physical(answer), 16, INDIRECT, 0);
        break;
    case LONG_TABLE: describe(0, physical(answer), UINT32_MAX / 16 * 16, INDIRECT, 0); break;
    case ANSWER_FIRST: describe(0, physical(answer), 80, WRITE | NEXT, 1), describe(1, physical(request), 56, 0, 0); break;
    case NO_ROOM: describe(1, physical(answer), 8, WRITE, 0); break;
    case NO_REQUEST: describe(0, physical(request), 8, NEXT, 1); break;
    }
    offer(head);
}

int main(void) {
    mkdir("/proc", 0755), mkdir("/sys", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    mount("sysfs", "/sys", "sysfs", 0, NULL);
    start_device();
    honest(1);
    offer(0);
    wait_for(1, "no answer to an honest request");
    attack();
    wait_for(0, "the attack did nothing");
    restart("the machine lives");
}
