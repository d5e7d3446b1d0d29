/*
 * Host mounts: each is a virtio-fs device whose back end passes raw FUSE messages to the gate. Init mounts it and has no further part in it.
 */
#ifndef AUTHORITY_FUSE_H
#define AUTHORITY_FUSE_H

#include <stdbool.h>

#include "fault.h"
#include "setup.h"

bool fuse_mount(const struct setup *setup, struct fault *fault);
/* Raises the kernel's read-ahead, which the INIT exchange caps; called again once that is over. */
void fuse_read_ahead(void);

#endif
