/*
 * Local programs on /run/authority/gate.sock, each a session of the effects port. Init moves whole link frames, sets the session number and reads
 * nothing but their length.
 */
#ifndef AUTHORITY_SESSIONS_H
#define AUTHORITY_SESSIONS_H

#include <stdbool.h>

#include "fault.h"
#include "poll_set.h"

/* Opens the effects port and listens on the local socket. */
bool sessions_open(struct fault *fault);
void sessions_poll(struct poll_set *set);
/* Why the gate's end can no longer be used, or NULL. */
const char *sessions_broken(void);

#endif
