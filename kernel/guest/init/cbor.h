/*
 * The subset of CBOR the control messages use (SPEC.md): unsigned integers, byte and text strings, arrays, booleans; minimal lengths only.
 * Errors stick: after the first one every read gives zero, so a message is read straight through and judged once, by cbor_end.
 */
#ifndef AUTHORITY_CBOR_H
#define AUTHORITY_CBOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cbor_reader {
	const uint8_t *at;
	const uint8_t *end;
	bool bad;
};

struct span {
	const uint8_t *bytes;
	size_t length;
};

struct cbor_reader cbor_read(const uint8_t *bytes, size_t length);
/* Elements that follow. */
size_t cbor_array(struct cbor_reader *in, size_t max);
uint64_t cbor_uint(struct cbor_reader *in, uint64_t max);
bool cbor_bool(struct cbor_reader *in);
struct span cbor_bytes(struct cbor_reader *in, size_t max);
/* Well-formed UTF-8 without NUL, so that it can become a C string unchanged. */
struct span cbor_text(struct cbor_reader *in, size_t max);
/* A text copied into `out` and terminated; `size` counts the NUL. */
bool cbor_text_into(struct cbor_reader *in, char *out, size_t size);
/* Whether everything was well formed and nothing is left. */
bool cbor_end(const struct cbor_reader *in);

struct cbor_writer {
	uint8_t *bytes;
	size_t capacity;
	size_t length;
	bool full;
};

struct cbor_writer cbor_write(uint8_t *bytes, size_t capacity);
void cbor_put_array(struct cbor_writer *out, size_t elements);
void cbor_put_uint(struct cbor_writer *out, uint64_t value);
void cbor_put_bool(struct cbor_writer *out, bool value);
void cbor_put_null(struct cbor_writer *out);
void cbor_put_bytes(struct cbor_writer *out, const void *bytes, size_t length);
/* Only the head of a byte string whose bytes the caller writes himself. */
void cbor_put_bytes_head(struct cbor_writer *out, size_t length);
/* Cut at `max`; bytes outside 0x20–0x7e become '?', so that no file name makes a message malformed. */
void cbor_put_text(struct cbor_writer *out, const char *text, size_t max);

bool utf8_valid(const uint8_t *bytes, size_t length);

#endif
