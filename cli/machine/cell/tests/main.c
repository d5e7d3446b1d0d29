#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "machine.h"

static unsigned rounds = 20000;

int memory_file(int seals) {
    int file = memfd_create("memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0 || ftruncate(file, MEMORY_BYTES) || fcntl(file, F_ADD_SEALS, seals)) abort();
    return file;
}

uint8_t *map_file(int file) {
    void *memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED) abort();
    return memory;
}

struct descriptor *descriptor_at(uint8_t *memory, uint32_t index) {
    return (struct descriptor *)(memory + DESCRIPTORS_AT) + index;
}

void offer(uint8_t *memory, uint16_t head) {
    uint16_t *available = (uint16_t *)(memory + AVAILABLE_AT);
    available[2 + available[1] % RING_SIZE] = head;
    available[1]++;
}

static void fuzzed_queue(void) {
    fuzz_virtqueue(rounds);
}

static void fuzzed_vhost_user(void) {
    fuzz_vhost_user(rounds / 10);
}

int main(int count, char **arguments) {
    if (count > 1) rounds = (unsigned)atoi(arguments[1]);
    test_memory();
    test_virtqueue();
    test_vhost_user();
    test_pump();
    TEST(fuzzed_queue);
    TEST(fuzzed_vhost_user);
    return tests_report();
}
