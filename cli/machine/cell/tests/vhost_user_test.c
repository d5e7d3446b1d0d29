/* A front end on the other end of the socket, as QEMU is, and as a QEMU that was taken over would be. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cell.h"
#include "file_pump.h"
#include "machine.h"
#include "vhost_user.h"

/* The pump ends its process when it is told nonsense: in a test that is a child. */
void die(const char *format, ...) {
    (void)format;
    _exit(CELL_FAILED);
}
void die_errno(const char *what) {
    (void)what;
    _exit(CELL_FAILED);
}

static struct vhost_device device;
static int front;

static void nothing(struct vhost_device *one, int queue) {
    (void)one;
    (void)queue;
}

static void start(void) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) abort();
    front = pair[0];
    vhost_init(&device, pair[1], nothing);
}

static void stop(void) {
    memory_clear(&device.memory);
    for (int i = 0; i < QUEUES; i++) {
        if (device.queue[i].kick >= 0) close(device.queue[i].kick);
        if (device.queue[i].call >= 0) close(device.queue[i].call);
    }
    close(front);
    close(device.socket);
}

static void say(int socket, uint32_t request, uint32_t flags, const void *payload, uint32_t size, int file) {
    uint32_t header[3] = {request, flags, size};
    struct iovec parts[2] = {{header, sizeof header}, {(void *)(uintptr_t)payload, size}};
    union {
        struct cmsghdr first;
        char bytes[CMSG_SPACE(sizeof file)];
    } control = {0};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (file >= 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof file);
        control.first = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof file), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.first), &file, sizeof file);
    }
    if (sendmsg(socket, &message, MSG_NOSIGNAL) < 0) abort();
}

static bool told(uint32_t request, const void *payload, uint32_t size, int file) {
    say(front, request, 1, payload, size, file);
    return vhost_receive(&device);
}

static bool number(uint32_t request, uint64_t value) {
    return told(request, &value, sizeof value, -1);
}

static bool state(uint32_t request, uint32_t index, uint32_t value) {
    uint32_t both[2] = {index, value};
    return told(request, both, sizeof both, -1);
}

struct table {
    uint32_t count, padding;
    uint64_t region[4];
};
static const struct table TABLE = {1, 0, {GUEST_BASE, MEMORY_BYTES, USER_BASE, 0}};
struct address {
    uint32_t index, flags;
    uint64_t descriptors, used, available, log;
};
static const struct address ADDRESS = {1, 0, USER_BASE + DESCRIPTORS_AT, USER_BASE + USED_AT, USER_BASE + AVAILABLE_AT, 0};

static void a_front_end_that_says_all_in_order_has_a_ready_queue(void) {
    start();
    uint8_t reply[20];
    CHECK(number(1, 0) && recv(front, reply, 20, 0) == 20);
    CHECK(number(15, 0) && recv(front, reply, 20, 0) == 20);
    CHECK(number(16, 9) && number(2, UINT64_C(1) << 32 | UINT64_C(1) << 30));
    int file = memory_file(F_SEAL_SHRINK), kick = eventfd(0, EFD_NONBLOCK);
    say(front, 5, 1 | 8, &TABLE, sizeof TABLE, file);
    CHECK(vhost_receive(&device) && recv(front, reply, 20, 0) == 20 && reply[12] == 0);
    uint64_t queue = 1;
    CHECK(state(8, 1, RING_SIZE) && state(10, 1, 0) && told(9, &ADDRESS, sizeof ADDRESS, -1) && told(12, &queue, 8, kick));
    CHECK(!virtqueue_ready(&device.queue[1]));
    CHECK(state(18, 1, 1) && virtqueue_ready(&device.queue[1]) && !virtqueue_ready(&device.queue[0]));
    CHECK(state(11, 1, 0) && recv(front, reply, 20, 0) == 20 && !virtqueue_ready(&device.queue[1]));
    close(file);
    close(kick);
    stop();
}

static void rings_that_grow_out_of_the_memory_are_none(void) {
    start();
    int file = memory_file(F_SEAL_SHRINK), kick = eventfd(0, EFD_NONBLOCK);
    struct address last = ADDRESS;
    last.descriptors = USER_BASE + MEMORY_BYTES - sizeof(struct descriptor);
    uint64_t queue = 1;
    CHECK(told(5, &TABLE, sizeof TABLE, file) && state(8, 1, 1) && told(9, &last, sizeof last, -1) && told(12, &queue, 8, kick) && state(18, 1, 1));
    CHECK(virtqueue_ready(&device.queue[1]));
    CHECK(state(8, 1, RING_SIZE) && !virtqueue_ready(&device.queue[1]));
    close(file);
    close(kick);
    stop();
}

static void what_a_front_end_may_not_say_ends_it(void) {
    static const struct {
        uint32_t request, index, value;
    } bad[] = {{8, 2, 64}, {8, 1, 0}, {8, 1, 63}, {8, 1, 2048}, {10, 99, 0}, {12, 1, 0}, {18, 7, 1}, {2, 1, 0}, {16, 0xffff, 0}, {6, 0, 0}, {0, 0, 0}, {99, 0, 0}, {5, 1, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        start();
        CHECK(!state(bad[i].request, bad[i].index, bad[i].value));
        stop();
    }
}

static void a_message_longer_than_any_or_of_another_version_ends_it(void) {
    start();
    say(front, 1, 1, NULL, 0, -1);
    CHECK(vhost_receive(&device));
    say(front, 1, 2, NULL, 0, -1);
    CHECK(!vhost_receive(&device));
    stop();
    start();
    uint8_t long_one[400] = {0};
    say(front, 5, 1, long_one, sizeof long_one, -1);
    CHECK(!vhost_receive(&device));
    stop();
}

static void memory_that_is_not_sealed_is_not_taken(void) {
    start();
    int file = memory_file(0);
    CHECK(!told(5, &TABLE, sizeof TABLE, file) && device.memory.count == 0);
    close(file);
    stop();
}

void fuzz_vhost_user(unsigned rounds) {
    uint64_t random = 3;
    int file = memory_file(F_SEAL_SHRINK), event = eventfd(0, EFD_NONBLOCK);
    for (unsigned round = 0; round < rounds; round++) {
        start();
        bool good = true;
        for (int i = 0; i < 12 && good; i++) {
            struct table table = TABLE;
            struct address address = ADDRESS;
            uint64_t r = next_random(&random);
            uint32_t request = (uint32_t)(r % 19);
            if (r >> 60 == 0) table.region[(r >> 8) % 4] = next_random(&random);
            if (r >> 61 == 1) address.used = next_random(&random);
            if (r >> 61 == 2) address.descriptors = next_random(&random);
            uint32_t pair[2] = {(uint32_t)(r >> 20) % 3, (uint32_t)1 << ((r >> 30) % 12)};
            int with = request == 5 ? file : request >= 12 && request <= 14 ? event : -1;
            const void *payload = request == 5 ? (const void *)&table : request == 9 ? (const void *)&address : pair;
            uint32_t size = request == 5 ? sizeof table : request == 9 ? sizeof address : 8;
            say(front, request, 1 | ((r >> 40) % 2) * 8, payload, (r >> 44) % 16 == 0 ? (uint32_t)(r >> 48) % size : size, (r >> 52) % 16 == 0 ? -1 : with);
            bool over = r >> 56 == 0;
            if (over) shutdown(front, SHUT_WR);
            good = vhost_receive(&device) && !over;
            uint8_t reply[64];
            (void)!recv(front, reply, sizeof reply, MSG_DONTWAIT);
            static struct chain chain;
            for (int k = 0; k < QUEUES; k++)
                if (virtqueue_ready(&device.queue[k])) virtqueue_next(&device.queue[k], &device.memory, &chain);
        }
        stop();
    }
    close(file);
    close(event);
}

void test_vhost_user(void) {
    TEST(a_front_end_that_says_all_in_order_has_a_ready_queue);
    TEST(rings_that_grow_out_of_the_memory_are_none);
    TEST(what_a_front_end_may_not_say_ends_it);
    TEST(a_message_longer_than_any_or_of_another_version_ends_it);
    TEST(memory_that_is_not_sealed_is_not_taken);
}

/* ---- the pump as a process, between a gate and a front end that are both the test ---- */

static struct {
    pid_t pid;
    int gate, front, kick, call;
    uint8_t *guest;
} pump;

static void start_pump(void) {
    int gate[2], files[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, gate) || socketpair(AF_UNIX, SOCK_STREAM, 0, files)) abort();
    pump.pid = fork();
    if (pump.pid == 0) {
        close(gate[0]);
        close(files[0]);
        pump_files(gate[1], &(struct file_device){files[1], 3}, 1);
    }
    close(gate[1]);
    close(files[1]);
    pump.gate = gate[0];
    pump.front = files[0];
    int file = memory_file(F_SEAL_SHRINK);
    pump.guest = map_file(file);
    pump.kick = eventfd(0, EFD_NONBLOCK);
    pump.call = eventfd(0, 0);
    uint64_t index = 1;
    uint32_t size[2] = {1, RING_SIZE}, zero[2] = {1, 0}, on[2] = {1, 1};
    say(pump.front, 5, 1, &TABLE, sizeof TABLE, file);
    say(pump.front, 8, 1, size, 8, -1);
    say(pump.front, 10, 1, zero, 8, -1);
    say(pump.front, 9, 1, &ADDRESS, sizeof ADDRESS, -1);
    say(pump.front, 13, 1, &index, 8, pump.call);
    say(pump.front, 12, 1, &index, 8, pump.kick);
    say(pump.front, 18, 1, on, 8, -1);
    close(file);
}

static int stop_pump(void) {
    close(pump.gate);
    int status;
    waitpid(pump.pid, &status, 0);
    close(pump.front);
    close(pump.kick);
    close(pump.call);
    munmap(pump.guest, MEMORY_BYTES);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void kick(uint16_t head) {
    uint64_t one = 1;
    offer(pump.guest, head);
    if (write(pump.kick, &one, sizeof one) != sizeof one) abort();
}

/* A request of 40 bytes with number 77, and 32 bytes of room for its answer. */
static void ask(void) {
    memset(pump.guest + DATA_AT, 0, 40);
    pump.guest[DATA_AT] = 40;
    pump.guest[DATA_AT + 8] = 77;
    *descriptor_at(pump.guest, 0) = (struct descriptor){GUEST_BASE + DATA_AT, 40, NEXT, 1};
    *descriptor_at(pump.guest, 1) = (struct descriptor){GUEST_BASE + DATA_AT + 512, 32, WRITE, 0};
    kick(0);
}

static void gate_says(uint8_t length, uint8_t unique) {
    uint8_t frame[64] = {0, 0, 0, (uint8_t)(4 + 2 + length), 0, 0, 0, 3, 0x58, length, length};
    frame[10 + 8] = unique;
    if (send(pump.gate, frame, 10u + length, MSG_NOSIGNAL) != 10 + length) abort();
}

static void a_request_reaches_the_gate_and_its_answer_the_guest(void) {
    start_pump();
    ask();
    uint8_t got[50];
    CHECK(recv(pump.gate, got, sizeof got, MSG_WAITALL) == 50);
    CHECK(got[3] == 46 && got[7] == 3 && got[8] == 0x58 && got[9] == 40 && got[10] == 40 && got[18] == 77);
    /* An answer to nothing is dropped. */
    gate_says(24, 76);
    gate_says(24, 77);
    uint64_t times;
    CHECK(read(pump.call, &times, sizeof times) == sizeof times);
    CHECK(pump.guest[DATA_AT + 512] == 24 && pump.guest[DATA_AT + 520] == 77);
    uint32_t *used = (uint32_t *)(pump.guest + USED_AT);
    CHECK(((uint16_t *)used)[1] == 1 && used[1] == 0 && used[2] == 24);
    CHECK(stop_pump() == 0);
}

static void the_pump_ends_when_the_guest_breaks_its_queue(void) {
    start_pump();
    kick(RING_SIZE);
    uint8_t byte;
    CHECK(recv(pump.gate, &byte, 1, 0) == 0);
    CHECK(stop_pump() == CELL_FAILED);
}

static void the_pump_ends_when_a_request_is_no_message_or_lies_outside(void) {
    const struct descriptor bad[] = {{GUEST_BASE + DATA_AT, 39, 0, 0}, {GUEST_BASE + DATA_AT, 0x90000, 0, 0}, {GUEST_BASE + MEMORY_BYTES - 8, 40, 0, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        start_pump();
        *descriptor_at(pump.guest, 0) = bad[i];
        kick(0);
        uint8_t byte;
        CHECK(recv(pump.gate, &byte, 1, 0) == 0);
        CHECK(stop_pump() == CELL_FAILED);
    }
}

static void the_pump_ends_when_an_answer_does_not_fit(void) {
    start_pump();
    ask();
    uint8_t got[50];
    CHECK(recv(pump.gate, got, sizeof got, MSG_WAITALL) == 50);
    gate_says(40, 77);
    uint8_t byte;
    CHECK(recv(pump.gate, &byte, 1, 0) == 0);
    CHECK(stop_pump() == CELL_FAILED);
}

static void the_pump_ends_with_qemu(void) {
    start_pump();
    shutdown(pump.front, SHUT_RDWR);
    uint8_t byte;
    CHECK(recv(pump.gate, &byte, 1, 0) == 0);
    CHECK(stop_pump() == 0);
}

void test_pump(void) {
    TEST(a_request_reaches_the_gate_and_its_answer_the_guest);
    TEST(the_pump_ends_when_the_guest_breaks_its_queue);
    TEST(the_pump_ends_when_a_request_is_no_message_or_lies_outside);
    TEST(the_pump_ends_when_an_answer_does_not_fit);
    TEST(the_pump_ends_with_qemu);
}
