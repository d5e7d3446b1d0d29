/* SETUP and START: what is read, and that no change of any byte makes their parsers do more than refuse. */
#include <stdlib.h>
#include <string.h>

#include "cbor.h"
#include "check.h"
#include "look_again.h"
#include "mountpoint.h"
#include "setup.h"
#include "start.h"

static size_t write_setup(uint8_t *bytes, size_t capacity)
{
	uint8_t entropy[32] = {1, 2, 3};
	struct cbor_writer out = cbor_write(bytes, capacity);
	cbor_put_array(&out, 8);
	cbor_put_uint(&out, AUTHORITY_GATE_SETUP);
	cbor_put_uint(&out, AUTHORITY_GUEST_VERSION);
	cbor_put_bytes(&out, entropy, sizeof entropy);
	cbor_put_uint(&out, 1700000000);
	cbor_put_uint(&out, 5);
	cbor_put_text(&out, "authority", 64);
	cbor_put_array(&out, 1);
	cbor_put_array(&out, 4);
	cbor_put_uint(&out, 1);
	cbor_put_text(&out, "/work", 64);
	cbor_put_bool(&out, true);
	cbor_put_bool(&out, true);
	cbor_put_array(&out, 1);
	cbor_put_array(&out, 3);
	cbor_put_text(&out, "/tmp", 64);
	cbor_put_uint(&out, 1048576);
	cbor_put_uint(&out, 01777);
	return out.length;
}

static size_t write_start(uint8_t *bytes, size_t capacity)
{
	struct cbor_writer out = cbor_write(bytes, capacity);
	cbor_put_array(&out, 9);
	cbor_put_uint(&out, AUTHORITY_GATE_START);
	cbor_put_array(&out, 2);
	cbor_put_text(&out, "/bin/agent", 64);
	cbor_put_text(&out, "x", 64);
	cbor_put_array(&out, 1);
	cbor_put_text(&out, "A=1", 64);
	cbor_put_text(&out, "/", 64);
	cbor_put_uint(&out, 1000);
	cbor_put_uint(&out, 1000);
	cbor_put_bool(&out, false);
	cbor_put_uint(&out, 24);
	cbor_put_uint(&out, 80);
	return out.length;
}

static struct frame item_frame(const uint8_t *bytes, size_t length)
{
	return (struct frame){.session = 0, .item = bytes, .item_length = length, .length = length + AUTHORITY_LINK_HEADER_BYTES};
}

static bool parse_start(const struct frame *frame, struct start *out)
{
	*out = (struct start){0};
	bool parsed = start_parse(frame, out);
	start_free(out);
	return parsed;
}

static size_t write_look_again(uint8_t *bytes, size_t capacity, size_t count)
{
	struct cbor_writer out = cbor_write(bytes, capacity);
	cbor_put_array(&out, count);
	for (size_t i = 0; i < count; i++) {
		cbor_put_array(&out, 3);
		cbor_put_uint(&out, 1);
		cbor_put_uint(&out, (UINT64_C(1) << 40) + i);
		cbor_put_bool(&out, i == 1);
	}
	return out.length;
}

static bool parse_look_again(const uint8_t *bytes, size_t length, struct look_again_files *out)
{
	struct cbor_reader in = cbor_read(bytes, length);
	return look_again_parse(&in, out);
}

static void reads_look_again(void)
{
	static struct look_again_files files;
	static uint8_t bytes[17 * (AUTHORITY_MAX_LOOK_AGAIN + 1)];
	size_t length = write_look_again(bytes, sizeof bytes, AUTHORITY_MAX_LOOK_AGAIN);
	CHECK(parse_look_again(bytes, length, &files) && files.count == AUTHORITY_MAX_LOOK_AGAIN && files.files[1].node == (UINT64_C(1) << 40) + 1 && files.files[1].attributes);
	for (size_t cut = 0; cut < length; cut++)
		CHECK(!parse_look_again(bytes, cut, &files));
	CHECK(!parse_look_again(bytes, write_look_again(bytes, sizeof bytes, AUTHORITY_MAX_LOOK_AGAIN + 1), &files));
	static const uint8_t no_truth[] = {0x81, 0x83, 1, 2, 3};
	CHECK(!parse_look_again(no_truth, sizeof no_truth, &files));
}

static void reads_setup(void)
{
	static struct setup setup;
	uint8_t bytes[512];
	struct frame frame = item_frame(bytes, write_setup(bytes, sizeof bytes));
	CHECK(setup_parse(&frame, &setup) && setup.mount_count == 1 && setup.scratch_count == 1);
	CHECK(strcmp(setup.mounts[0].path, "/work") == 0 && setup.mounts[0].read_only && setup.mounts[0].file && setup.scratch[0].mode == 01777);
	for (size_t length = 0; length < frame.item_length; length++) {
		struct frame cut = item_frame(bytes, length);
		CHECK(!setup_parse(&cut, &setup));
	}
	bytes[2] = AUTHORITY_GUEST_VERSION + 1;
	CHECK(!setup_parse(&frame, &setup));
}

static void reads_start(void)
{
	struct start start = {0};
	uint8_t bytes[512];
	struct frame frame = item_frame(bytes, write_start(bytes, sizeof bytes));
	CHECK(start_parse(&frame, &start) && strcmp(start.arguments[1], "x") == 0 && start.arguments[2] == NULL && start.columns == 80);
	start_free(&start);
	for (size_t length = 0; length < frame.item_length; length++) {
		struct frame cut = item_frame(bytes, length);
		CHECK(!parse_start(&cut, &start));
	}
	static const uint8_t no_program[] = {0x89, 2, 0x80, 0x80, 0x61, '/', 1, 1, 0xf4, 0, 0};
	frame = item_frame(no_program, sizeof no_program);
	CHECK(!parse_start(&frame, &start));
}

void test_messages(void)
{
	TEST(reads_setup);
	TEST(reads_start);
	TEST(reads_look_again);
}

/* Flips, cuts and repeats bytes of valid messages, each in a block of exactly its size; the sanitizers judge. */
void fuzz_messages(unsigned rounds)
{
	static struct setup setup;
	struct start start;
	uint64_t random = 20260727;
	for (unsigned round = 0; round < rounds; round++) {
		uint8_t bytes[512];
		size_t length = (round & 1) != 0 ? write_setup(bytes, sizeof bytes) : write_start(bytes, sizeof bytes);
		for (uint64_t changes = 1 + next_random(&random) % 6; changes > 0; changes--) {
			size_t at = next_random(&random) % length;
			switch (next_random(&random) % 3) {
			case 0:
				bytes[at] = (uint8_t)next_random(&random);
				break;
			case 1:
				bytes[at] ^= (uint8_t)(1u << next_random(&random) % 8);
				break;
			default:
				memmove(bytes + at, bytes + next_random(&random) % length, length - at < length / 2 ? length - at : length / 2);
			}
		}
		length = next_random(&random) % 4 == 0 ? next_random(&random) % (length + 1) : length;
		uint8_t *exact = malloc(length + 1);
		memcpy(exact, bytes, length);
		struct frame frame = item_frame(exact, length), inner;
		frame_parse(exact, length, &inner);
		setup_parse(&frame, &setup);
		parse_start(&frame, &start);
		free(exact);
	}
}

static void knows_plain_paths(void)
{
	static const char *const good[] = {"/", "/a", "/a/b.c/..d", "/..."};
	static const char *const bad[] = {"", "a", "//", "/a/", "/a//b", "/.", "/a/../b", "/a/./b", "/.."};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		CHECK(path_is_plain(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK(!path_is_plain(bad[i]));
	char name[300] = "/";
	memset(name + 1, 'n', 256);
	CHECK(!path_is_plain(name));
}

void test_paths(void)
{
	TEST(knows_plain_paths);
}
