#include "start.h"

#include <stdlib.h>
#include <string.h>

#include "cbor.h"

static char *copy_text(struct cbor_reader *in, size_t max)
{
	struct span text = cbor_text(in, max);
	char *copy = in->bad ? NULL : malloc(text.length + 1);
	if (copy == NULL) {
		in->bad = true;
		return NULL;
	}
	memcpy(copy, text.bytes, text.length);
	copy[text.length] = 0;
	return copy;
}

static char **copy_texts(struct cbor_reader *in)
{
	size_t count = cbor_array(in, AUTHORITY_MAX_START_STRINGS);
	char **list = calloc(count + 1, sizeof *list);
	if (list == NULL) {
		in->bad = true;
		return NULL;
	}
	for (size_t i = 0; i < count && !in->bad; i++)
		list[i] = copy_text(in, AUTHORITY_MAX_START_STRING_BYTES);
	return list;
}

bool start_parse(const struct frame *frame, struct start *out)
{
	struct cbor_reader in = cbor_read(frame->item, frame->item_length);
	if (cbor_array(&in, 9) != 9 || cbor_uint(&in, UINT32_MAX) != AUTHORITY_GATE_START)
		return false;
	out->arguments = copy_texts(&in);
	out->environment = copy_texts(&in);
	out->folder = copy_text(&in, AUTHORITY_MAX_PATH_BYTES - 1);
	out->uid = (uid_t)cbor_uint(&in, UINT32_MAX - 1);
	out->gid = (gid_t)cbor_uint(&in, UINT32_MAX - 1);
	out->tty = cbor_bool(&in);
	out->rows = (uint16_t)cbor_uint(&in, UINT16_MAX);
	out->columns = (uint16_t)cbor_uint(&in, UINT16_MAX);
	return cbor_end(&in) && out->arguments[0] != NULL;
}

static void free_texts(char **list)
{
	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

void start_free(struct start *start)
{
	free_texts(start->arguments);
	free_texts(start->environment);
	free(start->folder);
	*start = (struct start){0};
}
