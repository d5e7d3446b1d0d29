#include "cbor.h"

#include <string.h>

enum major { MAJOR_UINT = 0, MAJOR_BYTES = 2, MAJOR_TEXT = 3, MAJOR_ARRAY = 4 };

#define SIMPLE_FALSE 0xf4
#define SIMPLE_TRUE 0xf5
#define SIMPLE_NULL 0xf6

struct cbor_reader cbor_read(const uint8_t *bytes, size_t length)
{
	return (struct cbor_reader){.at = bytes, .end = bytes + length, .bad = false};
}

static size_t left(const struct cbor_reader *in)
{
	return (size_t)(in->end - in->at);
}

/* The argument of a head of the given major type; anything else, a non-minimal or an indefinite length makes the reader bad. */
static uint64_t read_head(struct cbor_reader *in, enum major major)
{
	if (in->bad || left(in) < 1 || in->at[0] >> 5 != (int)major)
		goto bad;
	unsigned small = in->at[0] & 31u;
	if (small < 24) {
		in->at++;
		return small;
	}
	if (small > 27)
		goto bad;
	size_t width = (size_t)1 << (small - 24);
	if (left(in) < 1 + width)
		goto bad;
	uint64_t value = 0;
	for (size_t i = 1; i <= width; i++)
		value = value << 8 | in->at[i];
	static const uint64_t least[4] = {24, 0x100, 0x10000, 0x100000000};
	if (value < least[small - 24])
		goto bad;
	in->at += 1 + width;
	return value;
bad:
	in->bad = true;
	return 0;
}

static uint64_t read_bounded(struct cbor_reader *in, enum major major, uint64_t max)
{
	uint64_t value = read_head(in, major);
	if (value > max)
		in->bad = true;
	return in->bad ? 0 : value;
}

size_t cbor_array(struct cbor_reader *in, size_t max)
{
	return (size_t)read_bounded(in, MAJOR_ARRAY, max);
}

uint64_t cbor_uint(struct cbor_reader *in, uint64_t max)
{
	return read_bounded(in, MAJOR_UINT, max);
}

bool cbor_bool(struct cbor_reader *in)
{
	if (in->bad || left(in) < 1 || (in->at[0] != SIMPLE_FALSE && in->at[0] != SIMPLE_TRUE)) {
		in->bad = true;
		return false;
	}
	return *in->at++ == SIMPLE_TRUE;
}

static struct span read_string(struct cbor_reader *in, enum major major, size_t max)
{
	uint64_t length = read_bounded(in, major, max);
	if (!in->bad && length > left(in))
		in->bad = true;
	if (in->bad)
		return (struct span){.bytes = (const uint8_t *)"", .length = 0};
	struct span found = {.bytes = in->at, .length = (size_t)length};
	in->at += length;
	return found;
}

struct span cbor_bytes(struct cbor_reader *in, size_t max)
{
	return read_string(in, MAJOR_BYTES, max);
}

struct span cbor_text(struct cbor_reader *in, size_t max)
{
	struct span found = read_string(in, MAJOR_TEXT, max);
	if (memchr(found.bytes, 0, found.length) != NULL || !utf8_valid(found.bytes, found.length)) {
		in->bad = true;
		found.length = 0;
	}
	return found;
}

bool cbor_text_into(struct cbor_reader *in, char *out, size_t size)
{
	struct span found = cbor_text(in, size - 1);
	memcpy(out, found.bytes, found.length);
	out[found.length] = 0;
	return !in->bad;
}

bool cbor_end(const struct cbor_reader *in)
{
	return !in->bad && in->at == in->end;
}

struct cbor_writer cbor_write(uint8_t *bytes, size_t capacity)
{
	return (struct cbor_writer){.bytes = bytes, .capacity = capacity, .length = 0, .full = false};
}

static void put(struct cbor_writer *out, const void *bytes, size_t length)
{
	if (out->full || length > out->capacity - out->length) {
		out->full = true;
		return;
	}
	if (length > 0)
		memcpy(out->bytes + out->length, bytes, length);
	out->length += length;
}

static void put_head(struct cbor_writer *out, enum major major, uint64_t value)
{
	uint8_t head[9];
	unsigned width = value < 24 ? 0 : value < 0x100 ? 1 : value < 0x10000 ? 2 : value < 0x100000000 ? 4 : 8;
	unsigned small = width == 0 ? (unsigned)value : width == 1 ? 24 : width == 2 ? 25 : width == 4 ? 26 : 27;
	head[0] = (uint8_t)((unsigned)major << 5 | small);
	for (unsigned i = 0; i < width; i++)
		head[1 + i] = (uint8_t)(value >> (8 * (width - 1 - i)));
	put(out, head, 1 + width);
}

void cbor_put_array(struct cbor_writer *out, size_t elements)
{
	put_head(out, MAJOR_ARRAY, elements);
}

void cbor_put_uint(struct cbor_writer *out, uint64_t value)
{
	put_head(out, MAJOR_UINT, value);
}

void cbor_put_bool(struct cbor_writer *out, bool value)
{
	uint8_t byte = value ? SIMPLE_TRUE : SIMPLE_FALSE;
	put(out, &byte, 1);
}

void cbor_put_null(struct cbor_writer *out)
{
	const uint8_t byte = SIMPLE_NULL;
	put(out, &byte, 1);
}

void cbor_put_bytes_head(struct cbor_writer *out, size_t length)
{
	put_head(out, MAJOR_BYTES, length);
}

void cbor_put_bytes(struct cbor_writer *out, const void *bytes, size_t length)
{
	put_head(out, MAJOR_BYTES, length);
	put(out, bytes, length);
}

void cbor_put_text(struct cbor_writer *out, const char *text, size_t max)
{
	size_t length = strnlen(text, max);
	put_head(out, MAJOR_TEXT, length);
	size_t start = out->length;
	put(out, text, length);
	for (size_t i = start; i < out->length; i++)
		if (out->bytes[i] < 0x20 || out->bytes[i] > 0x7e)
			out->bytes[i] = '?';
}

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool utf8_valid(const uint8_t *bytes, size_t length)
{
	size_t i = 0;
	while (i < length) {
		uint8_t first = bytes[i++];
		if (first < 0x80)
			continue;
		unsigned more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
		if (first < 0xc2 || first > 0xf4 || length - i < more)
			return false;
		uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
		uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
		if (bytes[i] < low || bytes[i] > high)
			return false;
		for (unsigned k = 1; k < more; k++)
			if ((bytes[i + k] & 0xc0) != 0x80)
				return false;
		i += more;
	}
	return true;
}
