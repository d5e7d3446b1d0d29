#include "frame.h"

/* A session number and the smallest item. */
#define MIN_FRAME_BYTES 5

static uint32_t get_u32(const uint8_t bytes[4])
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

void put_u32(uint8_t out[4], uint32_t value)
{
	out[0] = (uint8_t)(value >> 24);
	out[1] = (uint8_t)(value >> 16);
	out[2] = (uint8_t)(value >> 8);
	out[3] = (uint8_t)value;
}

enum frame_state frame_parse(const uint8_t *bytes, size_t have, struct frame *out)
{
	if (have < 4)
		return FRAME_PARTIAL;
	uint32_t length = get_u32(bytes);
	if (length < MIN_FRAME_BYTES || length > AUTHORITY_MAX_FRAME_BYTES)
		return FRAME_BAD;
	if (have - 4 < length)
		return FRAME_PARTIAL;
	out->session = get_u32(bytes + 4);
	out->item = bytes + AUTHORITY_LINK_HEADER_BYTES;
	out->item_length = length - 4;
	out->length = (size_t)length + 4;
	return FRAME_WHOLE;
}

void frame_put_header(uint8_t out[AUTHORITY_LINK_HEADER_BYTES], uint32_t session, size_t item_length)
{
	put_u32(out, (uint32_t)(item_length + 4));
	put_u32(out + 4, session);
}
