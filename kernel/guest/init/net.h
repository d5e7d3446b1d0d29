/*
 * The network of the guest: a process of its own, without rights, that turns every TCP connection a program makes to an address outside 127/8 into a
 * net.connect stream, and every DNS query into a net.query. It decides nothing and resolves nothing.
 */
#ifndef AUTHORITY_NET_H
#define AUTHORITY_NET_H

#include <stdbool.h>
#include <sys/types.h>

#include "fault.h"

/* Arms the capture and starts the process. Call after the loopback interface is up and /proc/sys is there. */
bool net_arm(struct fault *fault);
bool net_is_process(pid_t pid);

#endif
