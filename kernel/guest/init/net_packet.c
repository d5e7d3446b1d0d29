#include "net_packet.h"

#include <netinet/in.h>
#include <string.h>

#define IP_HEADER 20
#define TCP_HEADER 20
#define ICMP_HEADER 8
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10
#define ICMP_UNREACHABLE 3
#define ICMP_NETWORK 0
#define ICMP_HOST 1
#define TTL 64

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

/* RFC 1071, added to what a pseudo header gave. */
static uint16_t checksum(const uint8_t *bytes, size_t length, uint32_t sum)
{
	for (size_t i = 0; i + 1 < length; i += 2)
		sum += get16(bytes + i);
	if (length % 2 != 0)
		sum += (uint32_t)bytes[length - 1] << 8;
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void seal_ip(uint8_t *packet, size_t header, size_t length)
{
	put16(packet + 2, length);
	put16(packet + 10, 0);
	put16(packet + 10, checksum(packet, header, 0));
}

/* Captured on the loopback interface, a segment carries only half of its checksum. */
static void seal_tcp(uint8_t *packet, size_t header, size_t length)
{
	uint8_t *segment = packet + header;
	size_t bytes = length - header;
	uint32_t pseudo = IPPROTO_TCP + (uint32_t)bytes;
	for (size_t i = 12; i < 20; i += 2)
		pseudo += get16(packet + i);
	put16(segment + 16, 0);
	put16(segment + 16, checksum(segment, bytes, pseudo));
}

bool net_syn_parse(const uint8_t *packet, size_t length, struct net_syn *out)
{
	if (length < IP_HEADER + TCP_HEADER || packet[0] >> 4 != 4 || packet[9] != IPPROTO_TCP || (get16(packet + 6) & 0x3fff) != 0)
		return false;
	size_t header = (size_t)(packet[0] & 15) * 4;
	size_t total = get16(packet + 2);
	if (header < IP_HEADER || length < header + TCP_HEADER || total < header + TCP_HEADER)
		return false;
	const uint8_t *segment = packet + header;
	size_t both = header + (size_t)(segment[12] >> 4) * 4;
	if (both < header + TCP_HEADER || both > total || both > length || both > NET_SYN_BYTES || (segment[13] & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
		return false;
	memcpy(&out->tuple.source, packet + 12, 4);
	memcpy(&out->tuple.destination, packet + 16, 4);
	out->tuple.source_port = get16(segment);
	out->tuple.destination_port = get16(segment + 2);
	out->sequence = get32(segment + 4);
	out->length = both;
	memcpy(out->packet, packet, both);
	seal_ip(out->packet, header, both);
	seal_tcp(out->packet, header, both);
	return true;
}

bool net_tuple_same(const struct net_tuple *a, const struct net_tuple *b)
{
	return a->source == b->source && a->destination == b->destination && a->source_port == b->source_port &&
	       a->destination_port == b->destination_port;
}

static void start_ip(uint8_t *out, uint8_t protocol, const struct net_tuple *tuple)
{
	memset(out, 0, NET_PACKET_BYTES);
	out[0] = 0x45;
	out[8] = TTL;
	out[9] = protocol;
	memcpy(out + 12, &tuple->destination, 4);
	memcpy(out + 16, &tuple->source, 4);
}

static size_t reset(const struct net_syn *syn, uint8_t *out)
{
	const size_t length = IP_HEADER + TCP_HEADER;
	uint8_t *segment = out + IP_HEADER;
	start_ip(out, IPPROTO_TCP, &syn->tuple);
	put16(segment, syn->tuple.destination_port);
	put16(segment + 2, syn->tuple.source_port);
	put32(segment + 8, syn->sequence + 1);
	segment[12] = TCP_HEADER / 4 << 4;
	segment[13] = TCP_RST | TCP_ACK;
	seal_ip(out, IP_HEADER, length);
	seal_tcp(out, IP_HEADER, length);
	return length;
}

static size_t unreachable(const struct net_syn *syn, uint8_t code, uint8_t *out)
{
	size_t quoted = (size_t)(syn->packet[0] & 15) * 4 + 8;
	size_t length = IP_HEADER + ICMP_HEADER + quoted;
	uint8_t *message = out + IP_HEADER;
	start_ip(out, IPPROTO_ICMP, &syn->tuple);
	message[0] = ICMP_UNREACHABLE;
	message[1] = code;
	memcpy(message + ICMP_HEADER, syn->packet, quoted);
	put16(message + 2, checksum(message, ICMP_HEADER + quoted, 0));
	seal_ip(out, IP_HEADER, length);
	return length;
}

size_t net_refuse(const struct net_syn *syn, enum net_refusal refusal, uint8_t out[NET_PACKET_BYTES])
{
	switch (refusal) {
	case REFUSE_NETWORK:
		return unreachable(syn, ICMP_NETWORK, out);
	case REFUSE_HOST:
		return unreachable(syn, ICMP_HOST, out);
	case REFUSE_RESET:
	default:
		return reset(syn, out);
	}
}
