#include "poll_set.h"

void poll_add(struct poll_set *set, int fd, short events, ready_handler handler, int argument)
{
	if (fd < 0 || set->count == MAX_POLLED)
		return;
	set->fds[set->count] = (struct pollfd){.fd = fd, .events = events};
	set->handlers[set->count] = handler;
	set->arguments[set->count] = argument;
	set->count++;
}

void poll_run(struct poll_set *set, int ms)
{
	if (poll(set->fds, set->count, ms) <= 0)
		return;
	for (nfds_t i = 0; i < set->count; i++)
		if (set->fds[i].revents != 0)
			set->handlers[i](set->arguments[i], set->fds[i].revents);
}
