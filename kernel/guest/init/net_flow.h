/* Captured connections: each one asked for, let through or refused, and joined to its stream of the gate. */
#ifndef AUTHORITY_NET_FLOW_H
#define AUTHORITY_NET_FLOW_H

#include <stdint.h>

#include "frame.h"
#include "net_steer.h"

/* `memory` is how many bytes may wait for programs that do not read. */
void net_flows_use(const struct net_sockets *sockets, int watch, size_t memory);
/* What every connection with a program has; a listener gives it to what it accepts. 0 or -1 with errno. */
int net_flow_options(int fd);
/* SYNs wait for a decision. */
void net_flows_asked(void);
/* A connection was let through. */
void net_flows_accept(void);
/* What epoll says of one connection: the 64 bits given to it. */
void net_flows_ready(uint64_t tag, uint32_t events);
/* A frame of a session that carries connections. */
void net_flows_take(const struct frame *frame);
void net_flows_session_closed(unsigned session);
/* A connection from outside: its stream, and our own connection to the program's server, or -1 when there is none. */
void net_flows_incoming(uint32_t stream, int fd);
/* Ends what waited too long; called about once a second. */
void net_flows_tick(void);

#endif
