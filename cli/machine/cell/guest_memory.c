#define _GNU_SOURCE
#include "guest_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool memory_add(struct guest_memory *memory, uint64_t guest, uint64_t user, uint64_t size, int file, uint64_t offset) {
    struct stat found;
    if (memory->count == MAX_REGIONS || size == 0 || guest + size < guest || user + size < user || offset + size < offset) return false;
    int seals = fcntl(file, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(file, &found) || (uint64_t)found.st_size < offset + size) return false;
    void *host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, (off_t)offset);
    if (host == MAP_FAILED) return false;
    memory->region[memory->count++] = (struct region){guest, user, size, host};
    return true;
}

void memory_clear(struct guest_memory *memory) {
    for (int i = 0; i < memory->count; i++) munmap(memory->region[i].host, memory->region[i].size);
    memory->count = 0;
}

static void *within(const struct region *region, uint64_t start, uint64_t address, uint64_t length) {
    if (address < start || address - start >= region->size || length > region->size - (address - start)) return NULL;
    return region->host + (address - start);
}

void *memory_at_guest(const struct guest_memory *memory, uint64_t address, uint64_t length) {
    void *found = NULL;
    for (int i = 0; i < memory->count && found == NULL; i++) found = within(&memory->region[i], memory->region[i].guest, address, length);
    return found;
}

void *memory_at_user(const struct guest_memory *memory, uint64_t address, uint64_t length) {
    void *found = NULL;
    for (int i = 0; i < memory->count && found == NULL; i++) found = within(&memory->region[i], memory->region[i].user, address, length);
    return found;
}
