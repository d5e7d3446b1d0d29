#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "machine.h"

static struct guest_memory memory;
static struct virtqueue queue;
static struct chain chain;
static uint8_t *guest;

static void start(void) {
    int file = memory_file(F_SEAL_SHRINK);
    guest = map_file(file);
    CHECK(memory_add(&memory, GUEST_BASE, USER_BASE, MEMORY_BYTES, file, 0));
    close(file);
    queue = (struct virtqueue){.size = RING_SIZE,
        .descriptors_at = USER_BASE + DESCRIPTORS_AT, .available_at = USER_BASE + AVAILABLE_AT, .used_at = USER_BASE + USED_AT,
        .enabled = true, .kick = 0, .call = -1};
    virtqueue_locate(&queue, &memory);
    CHECK(virtqueue_ready(&queue));
}

static void stop(void) {
    memory_clear(&memory);
    munmap(guest, MEMORY_BYTES);
}

static void put(uint32_t index, uint64_t address, uint32_t length, uint16_t flags, uint16_t next) {
    *descriptor_at(guest, index) = (struct descriptor){address, length, flags, next};
}

static int next(void) {
    return virtqueue_next(&queue, &memory, &chain);
}

static void a_request_is_its_readable_pieces_and_then_the_writable(void) {
    start();
    CHECK(next() == 0);
    put(5, GUEST_BASE + DATA_AT, 40, NEXT, 9);
    put(9, GUEST_BASE + DATA_AT + 100, 8, NEXT, 2);
    put(2, GUEST_BASE + DATA_AT + 200, 16, WRITE, 0);
    memcpy(guest + DATA_AT, "0123456789012345678901234567890123456789", 40);
    memcpy(guest + DATA_AT + 100, "abcdefgh", 8);
    offer(guest, 5);
    CHECK(next() == 1 && chain.head == 5 && chain.readable == 2 && chain.writable == 1);
    CHECK(chain.readable_bytes == 48 && chain.writable_bytes == 16);
    uint8_t copy[48];
    CHECK(pieces_read(&memory, chain.piece, chain.readable, copy) && memcmp(copy + 36, "6789abcdefgh", 12) == 0);
    CHECK(pieces_write(&memory, chain.piece + 2, 1, (const uint8_t *)"answer", 6) && memcmp(guest + DATA_AT + 200, "answer", 6) == 0);
    CHECK(!pieces_write(&memory, chain.piece + 2, 1, copy, 17));
    virtqueue_done(&queue, 5, 6);
    uint32_t *used = (uint32_t *)(guest + USED_AT);
    CHECK(((uint16_t *)used)[1] == 1 && used[1] == 5 && used[2] == 6);
    CHECK(next() == 0);
    stop();
}

static void a_table_of_its_own_is_walked_the_same(void) {
    start();
    struct descriptor *table = (struct descriptor *)(guest + DATA_AT);
    table[0] = (struct descriptor){GUEST_BASE + DATA_AT + 4096, 40, NEXT, 1};
    table[1] = (struct descriptor){GUEST_BASE + DATA_AT + 8192, 16, WRITE, 0};
    put(0, GUEST_BASE + DATA_AT, 32, INDIRECT, 0);
    offer(guest, 0);
    CHECK(next() == 1 && chain.readable == 1 && chain.writable == 1);
    stop();
}

static void refused(void) {
    offer(guest, 0);
    CHECK(next() == -1);
    stop();
}

static void a_loop_is_refused(void) {
    start();
    put(0, GUEST_BASE + DATA_AT, 8, NEXT, 1);
    put(1, GUEST_BASE + DATA_AT, 8, NEXT, 0);
    refused();
}

static void a_next_outside_the_table_is_refused(void) {
    start();
    put(0, GUEST_BASE + DATA_AT, 8, NEXT, RING_SIZE);
    put(RING_SIZE, GUEST_BASE + DATA_AT, 8, 0, 0);
    refused();
}

static void readable_behind_writable_is_refused(void) {
    start();
    put(0, GUEST_BASE + DATA_AT, 8, NEXT | WRITE, 1);
    put(1, GUEST_BASE + DATA_AT, 8, 0, 0);
    refused();
}

static void an_empty_piece_is_refused(void) {
    start();
    put(0, GUEST_BASE + DATA_AT, 0, 0, 0);
    refused();
}

static void a_head_outside_the_ring_is_refused(void) {
    start();
    *(struct descriptor *)(guest + DATA_AT) = (struct descriptor){GUEST_BASE + DATA_AT, 40, 0, 0};
    put(RING_SIZE, GUEST_BASE + DATA_AT, 16, INDIRECT, 0);
    offer(guest, RING_SIZE);
    CHECK(next() == -1);
    stop();
}

static void an_index_further_than_the_ring_is_refused(void) {
    start();
    put(0, GUEST_BASE + DATA_AT, 8, 0, 0);
    ((uint16_t *)(guest + AVAILABLE_AT))[1] = RING_SIZE + 1;
    CHECK(next() == -1);
    stop();
}

static void a_table_in_a_table_is_refused(void) {
    start();
    struct descriptor *table = (struct descriptor *)(guest + DATA_AT);
    table[0] = (struct descriptor){GUEST_BASE + DATA_AT, 16, INDIRECT, 0};
    put(0, GUEST_BASE + DATA_AT, 16, INDIRECT, 0);
    refused();
}

static void a_table_of_half_a_descriptor_too_many_or_outside_is_refused(void) {
    const struct descriptor bad[] = {{GUEST_BASE + DATA_AT, 24, INDIRECT, 0}, {GUEST_BASE + DATA_AT, (MAX_PIECES + 1) * 16, INDIRECT, 0},
        {GUEST_BASE + MEMORY_BYTES - 16, 32, INDIRECT, 0}, {0, 16, INDIRECT, 0}, {UINT64_MAX - 15, 16, INDIRECT, 0}, {GUEST_BASE + DATA_AT, 16, INDIRECT | NEXT, 1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        start();
        *descriptor_at(guest, 0) = bad[i];
        refused();
    }
}

static void a_piece_outside_the_memory_is_neither_read_nor_written(void) {
    start();
    const struct piece bad[] = {{GUEST_BASE - 1, 2}, {GUEST_BASE + MEMORY_BYTES - 1, 2}, {GUEST_BASE + MEMORY_BYTES, 1}, {0, 8}, {UINT64_MAX, 8}, {USER_BASE, 8}};
    uint8_t bytes[8] = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK(!pieces_read(&memory, &bad[i], 1, bytes));
        CHECK(!pieces_write(&memory, &bad[i], 1, bytes, bad[i].length));
    }
    stop();
}

static void rings_outside_the_memory_are_never_ready(void) {
    start();
    const struct virtqueue good = queue;
    struct virtqueue bad[] = {good, good, good, good, good};
    bad[0].descriptors_at = USER_BASE + MEMORY_BYTES - 16;
    bad[1].available_at = USER_BASE + MEMORY_BYTES - 4;
    bad[2].used_at = USER_BASE - 4;
    bad[3].size = 0;
    bad[4].used_at += 2;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        virtqueue_locate(&bad[i], &memory);
        CHECK(!virtqueue_ready(&bad[i]));
    }
    stop();
}

static void memory_that_could_shrink_wraps_or_is_too_short_is_refused(void) {
    struct guest_memory none = {0};
    int open_ended = memory_file(0), sealed = memory_file(F_SEAL_SHRINK);
    CHECK(!memory_add(&none, 0, 0, MEMORY_BYTES, open_ended, 0));
    CHECK(!memory_add(&none, 0, 0, MEMORY_BYTES + 1, sealed, 0));
    CHECK(!memory_add(&none, 0, 0, MEMORY_BYTES, sealed, 4096));
    CHECK(!memory_add(&none, 0, 0, 0, sealed, 0));
    CHECK(!memory_add(&none, UINT64_MAX - 4095, 0, MEMORY_BYTES, sealed, 0));
    CHECK(!memory_add(&none, 0, 0, MEMORY_BYTES, sealed, UINT64_MAX - 4095));
    CHECK(!memory_add(&none, 0, 0, 4096, -1, 0));
    CHECK(none.count == 0);
    for (int i = 0; i < MAX_REGIONS; i++) CHECK(memory_add(&none, (uint64_t)i << 32, (uint64_t)i << 32, 4096, sealed, 0));
    CHECK(!memory_add(&none, UINT64_C(99) << 32, 0, 4096, sealed, 0));
    memory_clear(&none);
    close(open_ended);
    close(sealed);
}

static atomic_bool stirring;

/* The guest's other processor: writes anything anywhere in the rings and tables while they are read. */
static void *stir(void *state) {
    uint64_t random = *(uint64_t *)state;
    while (stirring) {
        uint64_t value = next_random(&random);
        guest[DESCRIPTORS_AT + value % 0x2100] = (uint8_t)(value >> 32);
        guest[DATA_AT + (value >> 16) % 0x2000] = (uint8_t)(value >> 40);
    }
    return NULL;
}

static struct descriptor any_descriptor(uint64_t *random) {
    uint64_t r = next_random(random);
    uint64_t address = GUEST_BASE + DATA_AT + (r >> 8) % 0x8000;
    if (r % 16 == 0) address = next_random(random);
    return (struct descriptor){address, (uint32_t)(r % 8 == 1 ? next_random(random) : (r >> 20) % 512), (uint16_t)((r >> 40) % 8), (uint16_t)((r >> 50) % (RING_SIZE + 2))};
}

/* Whatever is in the memory: an answer, no access outside (the sanitizer watches), and bounds that hold. */
void fuzz_virtqueue(unsigned rounds) {
    uint64_t random = 7;
    static uint8_t copy[1 << 20];
    start();
    pthread_t other;
    stirring = true;
    pthread_create(&other, NULL, stir, &random);
    uint64_t own = 11;
    for (unsigned round = 0; round < rounds; round++) {
        for (uint32_t i = 0; i < RING_SIZE; i++) *descriptor_at(guest, i) = any_descriptor(&own);
        for (uint32_t i = 0; i < 64; i++) ((struct descriptor *)(guest + DATA_AT))[i] = any_descriptor(&own);
        ((uint16_t *)(guest + AVAILABLE_AT))[1] = (uint16_t)(queue.next_available + next_random(&own) % 4);
        ((uint16_t *)(guest + AVAILABLE_AT))[2 + queue.next_available % RING_SIZE] = (uint16_t)(next_random(&own) % (RING_SIZE + 1));
        if (next() != 1) continue;
        CHECK(chain.readable + chain.writable <= MAX_PIECES && chain.head < RING_SIZE);
        uint64_t sum = 0;
        for (int i = 0; i < chain.readable; i++) sum += chain.piece[i].length;
        CHECK(sum == chain.readable_bytes);
        if (sum <= sizeof copy) pieces_read(&memory, chain.piece, chain.readable, copy);
        pieces_write(&memory, chain.piece + chain.readable, chain.writable, copy, chain.writable_bytes < 4096 ? chain.writable_bytes : 4096);
        virtqueue_done(&queue, chain.head, 1);
    }
    stirring = false;
    pthread_join(other, NULL);
    stop();
}

void test_memory(void) {
    TEST(memory_that_could_shrink_wraps_or_is_too_short_is_refused);
    TEST(a_piece_outside_the_memory_is_neither_read_nor_written);
}

void test_virtqueue(void) {
    TEST(a_request_is_its_readable_pieces_and_then_the_writable);
    TEST(a_table_of_its_own_is_walked_the_same);
    TEST(a_loop_is_refused);
    TEST(a_next_outside_the_table_is_refused);
    TEST(readable_behind_writable_is_refused);
    TEST(an_empty_piece_is_refused);
    TEST(a_head_outside_the_ring_is_refused);
    TEST(an_index_further_than_the_ring_is_refused);
    TEST(a_table_in_a_table_is_refused);
    TEST(a_table_of_half_a_descriptor_too_many_or_outside_is_refused);
    TEST(rings_outside_the_memory_are_never_ready);
}
