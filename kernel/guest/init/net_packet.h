/* The IPv4 packets of a connection attempt: reading a captured SYN, sending it on its way again, refusing it (RFC 791, 792, 9293). Pure. */
#ifndef AUTHORITY_NET_PACKET_H
#define AUTHORITY_NET_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest IPv4 and TCP headers: a SYN is kept without data. */
#define NET_SYN_BYTES 120
#define NET_PACKET_BYTES 160

/* Addresses as on the wire, ports in host order. */
struct net_tuple {
	uint32_t source, destination;
	uint16_t source_port, destination_port;
};

struct net_syn {
	struct net_tuple tuple;
	uint32_t sequence;
	size_t length;
	uint8_t packet[NET_SYN_BYTES];
};

enum net_refusal { REFUSE_RESET, REFUSE_NETWORK, REFUSE_HOST };

/* False for anything but the whole headers of a SYN. What is kept has no data, the right lengths and checksums. */
bool net_syn_parse(const uint8_t *packet, size_t length, struct net_syn *out);
bool net_tuple_same(const struct net_tuple *a, const struct net_tuple *b);
/* The answer that makes connect(2) fail at once: ECONNREFUSED, ENETUNREACH, EHOSTUNREACH. Bytes of the packet in `out`. */
size_t net_refuse(const struct net_syn *syn, enum net_refusal refusal, uint8_t out[NET_PACKET_BYTES]);

#endif
