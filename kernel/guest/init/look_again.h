/*
 * Takes back what the guest's kernel keeps of host files that changed. A virtio-fs device cannot tell it, so the gate names the files to init: each is opened by its
 * handle, which ends the name that led there, and where programs have it open looked at for real, which renews its attributes and drops cached bytes that are old. A process of
 * its own does that: looking asks the gate, and PID 1 must never wait for it.
 */
#ifndef AUTHORITY_LOOK_AGAIN_H
#define AUTHORITY_LOOK_AGAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cbor.h"
#include "fault.h"
#include "protocol.h"

/* A mount by its number, and an O_PATH descriptor of its device's root. */
struct look_again_root {
	uint32_t number;
	int folder;
};

struct look_again_files {
	uint32_t count;
	struct look_again_file {
		uint32_t mount;
		uint64_t node;
		bool attributes;
	} files[AUTHORITY_MAX_LOOK_AGAIN];
};

/* The field of LOOK_AGAIN; false when it is malformed. */
bool look_again_parse(struct cbor_reader *in, struct look_again_files *out);

/* Starts the process. It takes the folders over. */
bool look_again_arm(const struct look_again_root *roots, size_t count, struct fault *fault);
/* Readable when the process has looked; -1 without host mounts. */
int look_again_fd(void);
/* False where nothing may be asked now: no process, or it has not answered yet. */
bool look_again_ask(const struct look_again_files *files);
/* Whether it has answered. */
bool look_again_done(void);
bool look_again_is_process(pid_t pid);

#endif
