/* A guest's memory and one queue in it, as a hostile guest would fill them. */
#ifndef AUTHORITY_TESTS_MACHINE_H
#define AUTHORITY_TESTS_MACHINE_H

#include "check.h"
#include "virtqueue.h"

/* Where the test's region lies for the guest and for QEMU: neither begins at zero, so that an unchecked address is none by accident. */
#define GUEST_BASE UINT64_C(0x40000000)
#define USER_BASE UINT64_C(0x7f0000000000)
#define MEMORY_BYTES (UINT64_C(1) << 20)
#define RING_SIZE 64
#define DESCRIPTORS_AT 0x1000
#define AVAILABLE_AT 0x2000
#define USED_AT 0x3000
/* Free for buffers. */
#define DATA_AT 0x10000

enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

/* A memfd of MEMORY_BYTES with these seals. */
int memory_file(int seals);
/* Maps it: the guest's view of it. */
uint8_t *map_file(int file);
struct descriptor *descriptor_at(uint8_t *memory, uint32_t index);
/* Puts a head into the ring and moves its index on. */
void offer(uint8_t *memory, uint16_t head);

void test_memory(void);
void test_virtqueue(void);
void test_vhost_user(void);
void test_pump(void);
void fuzz_virtqueue(unsigned rounds);
void fuzz_vhost_user(unsigned rounds);

#endif
