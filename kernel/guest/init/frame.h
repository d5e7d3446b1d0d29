/* Link frames: u32 length of what follows, u32 session, one CBOR item; big-endian. */
#ifndef AUTHORITY_FRAME_H
#define AUTHORITY_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "protocol.h"

enum frame_state { FRAME_PARTIAL, FRAME_WHOLE, FRAME_BAD };

struct frame {
	uint32_t session;
	const uint8_t *item;
	size_t item_length;
	/* Bytes of the whole frame, its header included. */
	size_t length;
};

/* Looks at the first frame in `bytes`. A length outside 5…AUTHORITY_MAX_FRAME_BYTES is bad as soon as it is seen, before anything is kept for it. */
enum frame_state frame_parse(const uint8_t *bytes, size_t have, struct frame *out);
void frame_put_header(uint8_t out[AUTHORITY_LINK_HEADER_BYTES], uint32_t session, size_t item_length);
void put_u32(uint8_t out[4], uint32_t value);

#endif
