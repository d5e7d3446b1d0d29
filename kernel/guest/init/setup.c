#include "setup.h"

#include <string.h>

#include "cbor.h"

#define MAX_SAFE_INTEGER 9007199254740991u

static bool parse_mount(struct cbor_reader *in, struct host_mount *out)
{
	if (cbor_array(in, 4) != 4)
		return false;
	out->number = (uint32_t)cbor_uint(in, UINT32_MAX);
	cbor_text_into(in, out->path, sizeof out->path);
	out->read_only = cbor_bool(in);
	out->file = cbor_bool(in);
	return !in->bad;
}

static bool parse_scratch(struct cbor_reader *in, struct scratch *out)
{
	if (cbor_array(in, 3) != 3)
		return false;
	cbor_text_into(in, out->path, sizeof out->path);
	out->bytes = cbor_uint(in, MAX_SAFE_INTEGER);
	out->mode = (uint32_t)cbor_uint(in, 01777);
	return !in->bad;
}

bool setup_parse(const struct frame *frame, struct setup *out)
{
	struct cbor_reader in = cbor_read(frame->item, frame->item_length);
	if (cbor_array(&in, 8) != 8 || cbor_uint(&in, UINT32_MAX) != AUTHORITY_GATE_SETUP || cbor_uint(&in, UINT32_MAX) != AUTHORITY_GUEST_VERSION)
		return false;
	struct span entropy = cbor_bytes(&in, sizeof out->entropy);
	if (entropy.length != sizeof out->entropy)
		return false;
	memcpy(out->entropy, entropy.bytes, sizeof out->entropy);
	out->seconds = cbor_uint(&in, MAX_SAFE_INTEGER);
	out->nanoseconds = (uint32_t)cbor_uint(&in, 999999999);
	cbor_text_into(&in, out->hostname, sizeof out->hostname);
	out->mount_count = (unsigned)cbor_array(&in, AUTHORITY_MAX_MOUNTS);
	for (unsigned i = 0; i < out->mount_count; i++)
		if (!parse_mount(&in, &out->mounts[i]))
			return false;
	out->scratch_count = (unsigned)cbor_array(&in, AUTHORITY_MAX_SCRATCH);
	for (unsigned i = 0; i < out->scratch_count; i++)
		if (!parse_scratch(&in, &out->scratch[i]))
			return false;
	return cbor_end(&in);
}
