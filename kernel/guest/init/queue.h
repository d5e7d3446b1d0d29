/* A bounded byte queue that grows with what arrives, never with what a peer announces. */
#ifndef AUTHORITY_QUEUE_H
#define AUTHORITY_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue {
	uint8_t *bytes;
	size_t start;
	size_t end;
	size_t capacity;
	/* Capacity that stays when the queue is empty; 0: the usual. */
	size_t kept;
};

size_t queue_length(const struct queue *queue);
const uint8_t *queue_bytes(const struct queue *queue);
/* Room for `need` more bytes at the end, or NULL when the queue would hold more than `max` or memory is out. */
uint8_t *queue_room(struct queue *queue, size_t need, size_t max);
/* The bytes written into the room now count. */
void queue_grew(struct queue *queue, size_t bytes);
bool queue_put(struct queue *queue, const void *bytes, size_t length, size_t max);
void queue_take(struct queue *queue, size_t bytes);
void queue_free(struct queue *queue);

/* Writes from the queue to a non-blocking descriptor until it is full; false when the other end is gone. */
bool queue_flush(struct queue *queue, int fd);
enum queue_fill { FILL_SOME, FILL_NONE, FILL_END };
/* Reads at most `turn` bytes of a non-blocking descriptor into the queue, as long as it holds no more than `max`; a short read ends the turn. */
enum queue_fill queue_fill(struct queue *queue, int fd, size_t turn, size_t max);

#endif
