#include "virtqueue.h"

#include <stdatomic.h>
#include <string.h>

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };
/* Flags of the two rings: their first field. */
enum { NO_INTERRUPT = 1, NO_NOTIFY = 1 };

static uint16_t load(const uint16_t *from) {
    return __atomic_load_n(from, __ATOMIC_ACQUIRE);
}

void virtqueue_locate(struct virtqueue *queue, const struct guest_memory *memory) {
    uint64_t size = queue->size;
    queue->descriptors = memory_at_user(memory, queue->descriptors_at, size * sizeof(struct descriptor));
    queue->available = memory_at_user(memory, queue->available_at, 4 + 2 * size);
    queue->used = memory_at_user(memory, queue->used_at, 4 + 8 * size);
    bool aligned = queue->descriptors_at % 16 == 0 && queue->available_at % 2 == 0 && queue->used_at % 4 == 0;
    if (size == 0 || !aligned || queue->available == NULL || queue->used == NULL) queue->descriptors = NULL;
}

bool virtqueue_ready(const struct virtqueue *queue) {
    return queue->enabled && queue->kick >= 0 && queue->descriptors != NULL;
}

bool virtqueue_pending(const struct virtqueue *queue) {
    return load(queue->available + 1) != queue->next_available;
}

/* Descriptors of one table, each used at most once: a loop would need one more than there are. */
static bool walk(const struct descriptor *table, uint32_t size, uint32_t at, struct chain *out) {
    for (uint32_t steps = 0; steps < size; steps++) {
        if (at >= size) return false;
        struct descriptor one;
        memcpy(&one, &table[at], sizeof one);
        int pieces = out->readable + out->writable;
        if ((one.flags & INDIRECT) || one.length == 0 || pieces == MAX_PIECES) return false;
        out->piece[pieces] = (struct piece){one.address, one.length};
        if (one.flags & WRITE) {
            out->writable++;
            out->writable_bytes += one.length;
        } else {
            if (out->writable > 0) return false;
            out->readable++;
            out->readable_bytes += one.length;
        }
        if (!(one.flags & NEXT)) return true;
        at = one.next;
    }
    return false;
}

static bool walk_indirect(const struct guest_memory *memory, const struct descriptor *one, struct chain *out) {
    static struct descriptor table[MAX_PIECES];
    if ((one->flags & (NEXT | WRITE)) || one->length % sizeof *table != 0 || one->length > sizeof table) return false;
    const void *from = memory_at_guest(memory, one->address, one->length);
    if (from == NULL) return false;
    memcpy(table, from, one->length);
    return walk(table, one->length / sizeof *table, 0, out);
}

int virtqueue_next(struct virtqueue *queue, const struct guest_memory *memory, struct chain *out) {
    uint16_t waiting = (uint16_t)(load(queue->available + 1) - queue->next_available);
    if (waiting == 0) return 0;
    if (waiting > queue->size) return -1;
    uint16_t head = load(queue->available + 2 + queue->next_available % queue->size);
    if (head >= queue->size) return -1;
    queue->next_available++;
    out->head = head;
    out->readable = out->writable = 0;
    out->readable_bytes = out->writable_bytes = 0;
    struct descriptor first;
    memcpy(&first, (struct descriptor *)queue->descriptors + head, sizeof first);
    bool good = first.flags & INDIRECT ? walk_indirect(memory, &first, out) : walk(queue->descriptors, queue->size, head, out);
    return good ? 1 : -1;
}

void virtqueue_done(struct virtqueue *queue, uint16_t head, uint32_t written) {
    uint32_t entry[2] = {head, written};
    memcpy((uint8_t *)queue->used + 4 + 8 * (queue->next_used % queue->size), entry, sizeof entry);
    queue->next_used++;
    __atomic_store_n(queue->used + 1, queue->next_used, __ATOMIC_RELEASE);
}

bool virtqueue_wants_call(const struct virtqueue *queue) {
    /* What was done must be seen before the guest's flag is. */
    atomic_thread_fence(memory_order_seq_cst);
    return !(load(queue->available) & NO_INTERRUPT);
}

void virtqueue_want_kicks(struct virtqueue *queue, bool wanted) {
    __atomic_store_n(queue->used, wanted ? 0 : NO_NOTIFY, __ATOMIC_RELAXED);
    atomic_thread_fence(memory_order_seq_cst);
}

bool pieces_read(const struct guest_memory *memory, const struct piece *piece, int count, uint8_t *into) {
    for (int i = 0; i < count; i++) {
        const void *from = memory_at_guest(memory, piece[i].address, piece[i].length);
        if (from == NULL) return false;
        memcpy(into, from, piece[i].length);
        into += piece[i].length;
    }
    return true;
}

bool pieces_write(const struct guest_memory *memory, const struct piece *piece, int count, const uint8_t *from, size_t length) {
    for (int i = 0; i < count && length > 0; i++) {
        size_t part = length < piece[i].length ? length : piece[i].length;
        void *into = memory_at_guest(memory, piece[i].address, part);
        if (into == NULL) return false;
        memcpy(into, from, part);
        from += part;
        length -= part;
    }
    return length == 0;
}
