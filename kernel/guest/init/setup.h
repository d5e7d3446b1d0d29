/* SETUP: what the gate wants armed before any agent starts. */
#ifndef AUTHORITY_SETUP_H
#define AUTHORITY_SETUP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "bounds.h"
#include "protocol.h"

struct host_mount {
	uint32_t number;
	char path[PATH_MAX];
	bool read_only;
	/* One regular file instead of a folder. */
	bool file;
};

struct scratch {
	char path[PATH_MAX];
	uint64_t bytes;
	uint32_t mode;
};

struct setup {
	uint8_t entropy[32];
	uint64_t seconds;
	uint32_t nanoseconds;
	char hostname[65];
	struct host_mount mounts[AUTHORITY_MAX_MOUNTS];
	unsigned mount_count;
	struct scratch scratch[AUTHORITY_MAX_SCRATCH];
	unsigned scratch_count;
};

/* False when the message is not exactly a SETUP of our version. */
bool setup_parse(const struct frame *frame, struct setup *out);

#endif
