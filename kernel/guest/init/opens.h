/*
 * Opens of image files: each first one is a question to the gate (fanotify permission events on the whole file system, so that no other mount of it
 * escapes). The descriptor lives in PID 1 and is never closed: the kernel allows everything once it is.
 */
#ifndef AUTHORITY_OPENS_H
#define AUTHORITY_OPENS_H

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"

/* `image` is a descriptor of a directory of the image. */
bool opens_arm(int image, struct fault *fault);
int opens_fd(void);
/* Whether another question may be asked; while not, events wait in the kernel. */
bool opens_room(void);
/* Asks the gate about what waits; false when the fence broke. */
bool opens_ask(struct fault *fault);
/* The gate's answer; false for a question that was not asked. */
bool opens_answer(uint32_t id, bool allow, bool cacheable);
/* Refuses everything that waits, without asking: for the proof. */
bool opens_refuse_waiting(void);

#endif
