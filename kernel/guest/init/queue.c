#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_CAPACITY 4096
/* An empty queue larger than this gives its memory back, unless it says otherwise. */
#define QUEUE_KEPT 65536
/* A read of a virtio-serial port gives 4 KiB at most. */
#define READ_BYTES 4096

size_t queue_length(const struct queue *queue)
{
	return queue->end - queue->start;
}

const uint8_t *queue_bytes(const struct queue *queue)
{
	return queue->bytes + queue->start;
}

uint8_t *queue_room(struct queue *queue, size_t need, size_t max)
{
	size_t length = queue_length(queue);
	if (need > max || length > max - need)
		return NULL;
	if (queue->capacity - queue->end >= need)
		return queue->bytes + queue->end;
	/* Moved only when as much was taken since the last time: no byte is moved often, and a queue that streams stays where it is. */
	if (queue->capacity - length >= need && queue->start >= length) {
		memmove(queue->bytes, queue->bytes + queue->start, length);
	} else {
		size_t capacity = queue->capacity == 0 ? FIRST_CAPACITY : 2 * queue->capacity;
		while (capacity < length + need)
			capacity *= 2;
		uint8_t *bytes = malloc(capacity);
		if (bytes == NULL)
			return NULL;
		if (length > 0)
			memcpy(bytes, queue->bytes + queue->start, length);
		free(queue->bytes);
		queue->bytes = bytes;
		queue->capacity = capacity;
	}
	queue->start = 0;
	queue->end = length;
	return queue->bytes + queue->end;
}

void queue_grew(struct queue *queue, size_t bytes)
{
	queue->end += bytes;
}

bool queue_put(struct queue *queue, const void *bytes, size_t length, size_t max)
{
	uint8_t *room = queue_room(queue, length, max);
	if (room == NULL)
		return false;
	memcpy(room, bytes, length);
	queue_grew(queue, length);
	return true;
}

void queue_take(struct queue *queue, size_t bytes)
{
	queue->start += bytes;
	if (queue->start < queue->end)
		return;
	queue->start = queue->end = 0;
	if (queue->capacity > (queue->kept > 0 ? queue->kept : QUEUE_KEPT))
		queue_free(queue);
}

void queue_free(struct queue *queue)
{
	free(queue->bytes);
	*queue = (struct queue){.kept = queue->kept};
}

bool queue_flush(struct queue *queue, int fd)
{
	while (queue_length(queue) > 0) {
		ssize_t written = write(fd, queue_bytes(queue), queue_length(queue));
		if (written > 0) {
			queue_take(queue, (size_t)written);
			continue;
		}
		if (written < 0 && errno == EINTR)
			continue;
		return written == 0 || errno == EAGAIN;
	}
	return true;
}

enum queue_fill queue_fill(struct queue *queue, int fd, size_t turn, size_t max)
{
	for (size_t total = 0; total < turn;) {
		size_t free_bytes = max - queue_length(queue);
		size_t want = free_bytes < READ_BYTES ? free_bytes : READ_BYTES;
		uint8_t *room = want == 0 ? NULL : queue_room(queue, want, max);
		if (room == NULL)
			return total > 0 ? FILL_SOME : FILL_NONE;
		ssize_t got = read(fd, room, want);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return total > 0 ? FILL_SOME : FILL_NONE;
		if (got <= 0)
			return total > 0 ? FILL_SOME : FILL_END;
		queue_grew(queue, (size_t)got);
		total += (size_t)got;
		/* What comes after is told by the next poll: asking now is a system call for nothing, nearly always. */
		if ((size_t)got < want)
			break;
	}
	return FILL_SOME;
}
