/* What the event loop waits for. Every handler does a bounded piece of work and returns: that is what keeps the ports from starving each other. */
#ifndef AUTHORITY_POLL_SET_H
#define AUTHORITY_POLL_SET_H

#include <poll.h>

#include "protocol.h"

/* Local clients, and the dozen descriptors of init itself. */
#define MAX_POLLED (AUTHORITY_MAX_SESSIONS + 32)

typedef void (*ready_handler)(int argument, short events);

struct poll_set {
	struct pollfd fds[MAX_POLLED];
	ready_handler handlers[MAX_POLLED];
	int arguments[MAX_POLLED];
	nfds_t count;
};

void poll_add(struct poll_set *set, int fd, short events, ready_handler handler, int argument);
/* Waits at most `ms` and calls the handlers of what is ready. */
void poll_run(struct poll_set *set, int ms);

#endif
