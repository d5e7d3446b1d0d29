/* START: the agent to execute. */
#ifndef AUTHORITY_START_H
#define AUTHORITY_START_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "frame.h"

struct start {
	char **arguments;
	char **environment;
	char *folder;
	uid_t uid;
	gid_t gid;
	bool tty;
	uint16_t rows, columns;
};

/* False when the message is malformed, or memory is out; `out` must be zero before, and may hold memory in both cases. */
bool start_parse(const struct frame *frame, struct start *out);
void start_free(struct start *start);

#endif
