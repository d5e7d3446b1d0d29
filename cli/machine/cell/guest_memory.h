/* The guest's memory as QEMU shares it. Whatever the guest or QEMU names in it is looked up here, and nowhere else becomes a pointer. */
#ifndef AUTHORITY_GUEST_MEMORY_H
#define AUTHORITY_GUEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As many as a vhost-user message holds. */
#define MAX_REGIONS 8

struct region {
    /* Where the guest sees it, and where QEMU does. */
    uint64_t guest, user;
    uint64_t size;
    uint8_t *host;
};
struct guest_memory {
    int count;
    struct region region[MAX_REGIONS];
};

/*
 * Adds `size` bytes of the file from `offset` on. The file must be sealed against shrinking: otherwise whoever holds it could take pages away under us.
 * False when it is not, when it is shorter, or when the region wraps around.
 */
bool memory_add(struct guest_memory *memory, uint64_t guest, uint64_t user, uint64_t size, int file, uint64_t offset);
void memory_clear(struct guest_memory *memory);
/* `length` bytes at a guest address, or at an address of QEMU's; NULL unless all of them lie in one region. */
void *memory_at_guest(const struct guest_memory *memory, uint64_t address, uint64_t length);
void *memory_at_user(const struct guest_memory *memory, uint64_t address, uint64_t length);

#endif
