#include "frame.h"

#include <string.h>
#include <unistd.h>

#include "check.h"
#include "queue.h"

static void parses_frames(void)
{
	struct frame frame;
	static const uint8_t good[] = {0, 0, 0, 6, 0, 0, 1, 2, 0x41, 7};
	CHECK(frame_parse(good, sizeof good, &frame) == FRAME_WHOLE);
	CHECK(frame.session == 258 && frame.item_length == 2 && frame.item[1] == 7 && frame.length == sizeof good);
	for (size_t have = 0; have < sizeof good; have++)
		CHECK(frame_parse(good, have, &frame) == FRAME_PARTIAL);
	static const uint8_t empty[] = {0, 0, 0, 4, 0, 0, 0, 0};
	CHECK(frame_parse(empty, sizeof empty, &frame) == FRAME_BAD);
	static const uint8_t largest[] = {0, 0x10, 0, 0};
	CHECK(frame_parse(largest, sizeof largest, &frame) == FRAME_PARTIAL);
	static const uint8_t too_large[] = {0, 0x10, 0, 1};
	CHECK(frame_parse(too_large, sizeof too_large, &frame) == FRAME_BAD);
	static const uint8_t absurd[] = {0xff, 0xff, 0xff, 0xff};
	CHECK(frame_parse(absurd, sizeof absurd, &frame) == FRAME_BAD);
	uint8_t header[AUTHORITY_LINK_HEADER_BYTES];
	frame_put_header(header, 258, 2);
	CHECK(memcmp(header, good, sizeof header) == 0);
}

static void keeps_order_and_bound(void)
{
	struct queue queue = {0};
	uint64_t random = 7;
	uint8_t expected = 0, produced = 0;
	for (int step = 0; step < 4000; step++) {
		uint8_t bytes[700];
		size_t count = next_random(&random) % sizeof bytes;
		bool fits = queue_length(&queue) + count <= 5000;
		for (size_t i = 0; i < count; i++)
			bytes[i] = (uint8_t)(produced + i);
		CHECK(queue_put(&queue, bytes, count, 5000) == fits);
		if (fits)
			produced = (uint8_t)(produced + count);
		size_t take = next_random(&random) % (queue_length(&queue) + 1);
		bool same = true;
		for (size_t i = 0; i < take; i++)
			same = same && queue_bytes(&queue)[i] == (uint8_t)(expected + i);
		CHECK(same);
		expected = (uint8_t)(expected + take);
		queue_take(&queue, take);
		CHECK(queue.capacity <= 16384);
	}
	queue_free(&queue);
}

/* Chunks of 4 KiB come in, frames of 64 KiB and a head go out: as the net port in a download. */
static void streams_without_new_memory(void)
{
	enum { CHUNK = 4096, FRAME = 65556, KEPT = 512 << 10 };
	struct queue queue = {.kept = KEPT};
	static uint8_t chunk[CHUNK];
	const uint8_t *settled = NULL;
	for (int step = 0; step < 4000; step++) {
		CHECK(queue_put(&queue, chunk, sizeof chunk, 1 << 20));
		if (queue_length(&queue) >= FRAME)
			queue_take(&queue, FRAME);
		if (step % 500 == 0)
			queue_take(&queue, queue_length(&queue));
		if (step == 1000)
			settled = queue.bytes;
		CHECK(settled == NULL || queue.bytes == settled);
		CHECK(queue.capacity <= KEPT);
	}
	queue_free(&queue);
	CHECK(queue.kept == KEPT && queue.capacity == 0);
}

static void moves_through_a_pipe(void)
{
	int ends[2];
	struct queue out = {0}, in = {0};
	uint8_t bytes[200000];
	memset(bytes, 5, sizeof bytes);
	CHECK(pipe2(ends, 04000 /* O_NONBLOCK */) == 0);
	CHECK(queue_fill(&in, ends[0], 1000, 1000) == FILL_NONE);
	CHECK(queue_put(&out, bytes, sizeof bytes, sizeof bytes) && queue_flush(&out, ends[1]) && queue_length(&out) > 0);
	CHECK(queue_fill(&in, ends[0], 10000, 5000) == FILL_SOME && queue_length(&in) == 5000);
	CHECK(queue_fill(&in, ends[0], 10000, 5000) == FILL_NONE);
	queue_free(&in);
	while (queue_length(&out) > 0 && queue_fill(&in, ends[0], 65536, sizeof bytes) == FILL_SOME)
		CHECK(queue_flush(&out, ends[1]));
	close(ends[1]);
	while (queue_fill(&in, ends[0], 65536, sizeof bytes) == FILL_SOME)
		;
	CHECK(queue_length(&in) == sizeof bytes - 5000);
	CHECK(queue_fill(&in, ends[0], 1, sizeof bytes) == FILL_END);
	close(ends[0]);
	queue_free(&in);
	queue_free(&out);
}

void test_frame(void)
{
	TEST(parses_frames);
}

void test_queue(void)
{
	TEST(keeps_order_and_bound);
	TEST(streams_without_new_memory);
	TEST(moves_through_a_pipe);
}
