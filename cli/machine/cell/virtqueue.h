/*
 * One split virtqueue (virtio 1.2, 2.7), the device's side. The guest can write anything anywhere in it at any time: every index and length is read once, into our own memory,
 * and checked there.
 */
#ifndef AUTHORITY_VIRTQUEUE_H
#define AUTHORITY_VIRTQUEUE_H

#include "guest_memory.h"

#define MAX_QUEUE_SIZE 1024
/* Buffers of one request: the pages of the largest read or write and what surrounds them, with room. */
#define MAX_PIECES 512

struct virtqueue {
    uint32_t size;
    /* The rings, by QEMU's addresses; the pointers are null until `virtqueue_locate` found all three. */
    uint64_t descriptors_at, available_at, used_at;
    void *descriptors;
    uint16_t *available;
    uint16_t *used;
    uint16_t next_available, next_used;
    bool enabled;
    /* Eventfds, or -1. */
    int kick, call;
};

struct piece {
    uint64_t address;
    uint32_t length;
};
/* What the guest gave for one request: `readable` pieces first, then those for the answer. */
struct chain {
    uint16_t head;
    int readable, writable;
    uint64_t readable_bytes, writable_bytes;
    struct piece piece[MAX_PIECES];
};

/* Finds the rings again, after they or the memory were set. */
void virtqueue_locate(struct virtqueue *queue, const struct guest_memory *memory);
bool virtqueue_ready(const struct virtqueue *queue);
/* 1 and the next request; 0: none; -1: the guest broke the ring, nothing in it can be believed. */
int virtqueue_next(struct virtqueue *queue, const struct guest_memory *memory, struct chain *out);
/* Gives a request back with `written` bytes of answer. */
void virtqueue_done(struct virtqueue *queue, uint16_t head, uint32_t written);
/* Whether the guest wants to hear that something was done. */
bool virtqueue_wants_call(const struct virtqueue *queue);
/* While kicks are not wanted, whoever reads the ring must look again after they are. */
void virtqueue_want_kicks(struct virtqueue *queue, bool wanted);
/* Whether a request waits. */
bool virtqueue_pending(const struct virtqueue *queue);

/* Copies out of or into the pieces. False when one lies outside the memory. */
bool pieces_read(const struct guest_memory *memory, const struct piece *piece, int count, uint8_t *into);
bool pieces_write(const struct guest_memory *memory, const struct piece *piece, int count, const uint8_t *from, size_t length);

#endif
