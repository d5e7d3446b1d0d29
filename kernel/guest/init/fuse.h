/*
 * Host mounts: init moves raw FUSE messages between /dev/fuse and the port and understands none of them but their length. Two processes, one for each
 * direction, so that a full port never stops answers and nothing here waits for PID 1.
 */
#ifndef AUTHORITY_FUSE_H
#define AUTHORITY_FUSE_H

#include <stdbool.h>
#include <sys/types.h>

#include "fault.h"
#include "setup.h"

/* Mounts every host mount and starts the pumps. */
bool fuse_mount(const struct setup *setup, struct fault *fault);
/* Whether the process that ended was a pump: without it every open of a host file hangs. */
bool fuse_is_pump(pid_t pid);
/* Raises the kernel's read-ahead, which the INIT exchange caps; called again once that is over. */
void fuse_read_ahead(void);

#endif
