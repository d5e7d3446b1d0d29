/* What needs root: the route that makes every address local, the kernel program that steers connections, and the sockets the net process works with. */
#ifndef AUTHORITY_NET_STEER_H
#define AUTHORITY_NET_STEER_H

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"

/* The program lets a SYN through when the entry of its source port holds the rest of its tuple; addresses as on the wire, ports in host order. */
struct net_verdict {
	uint32_t source, destination;
	uint32_t destination_port;
	uint32_t allowed;
};

struct net_sockets {
	/* Copies of the SYNs that wait for a decision. */
	int syns;
	/* Sends whole IPv4 packets. */
	int raw;
	/* Accepts the connections that were let through. */
	int listener;
	/* A listener nobody accepts from, its queue full for ever: the kernel drops what is steered to it without an answer. Both ends of what fills it. */
	int parking, parked;
	int dns_udp, dns_tcp;
	/* One entry for each source port, shared with the kernel program. */
	volatile struct net_verdict *verdicts;
};

bool net_steer(struct net_sockets *out, struct fault *fault);

#endif
