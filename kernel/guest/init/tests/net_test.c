#include <string.h>

#include "check.h"
#include "net_dns_refusal.h"
#include "net_index.h"
#include "net_packet.h"
#include "protocol.h"

/* A SYN of 127.0.0.1:40000 to 198.18.0.1:443 with an MSS option and four bytes of data, as the loopback interface shows it. */
static const uint8_t syn_packet[] = {
	0x45, 0, 0, 48, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 127, 0, 0, 1, 198, 18, 0, 1, /* TCP: */
	0x9c, 0x40, 1, 0xbb, 1, 2, 3, 4, 0, 0, 0, 0, 0x60, 0x02, 0xff, 0xff, 0xfe, 0x30, 0, 0, 2, 4, 5, 0xb4, 'd', 'a', 't', 'a',
};

static uint32_t sum_of(const uint8_t *bytes, size_t length, uint32_t sum)
{
	for (size_t i = 0; i < length; i++)
		sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Both checksums of a TCP packet are right when everything, themselves included, adds up to all ones. */
static bool sealed(const uint8_t *packet, size_t length)
{
	size_t header = (size_t)(packet[0] & 15) * 4;
	uint32_t pseudo = sum_of(packet + 12, 8, 6 + (uint32_t)(length - header));
	return sum_of(packet, header, 0) == 0xffff && sum_of(packet + header, length - header, pseudo) == 0xffff;
}

static void reads_a_syn(void)
{
	struct net_syn syn;
	CHECK(net_syn_parse(syn_packet, sizeof syn_packet, &syn));
	CHECK(syn.tuple.source_port == 40000 && syn.tuple.destination_port == 443 && syn.sequence == 0x01020304);
	CHECK(memcmp(&syn.tuple.destination, syn_packet + 16, 4) == 0 && memcmp(&syn.tuple.source, syn_packet + 12, 4) == 0);
	/* Kept without its data, with the length and checksums of what is kept. */
	CHECK(syn.length == 44 && syn.packet[3] == 44 && sealed(syn.packet, syn.length));
	for (size_t length = 0; length < 44; length++)
		CHECK(!net_syn_parse(syn_packet, length, &syn));
}

static void refuses_what_is_no_syn(void)
{
	static const struct {
		size_t at;
		uint8_t value;
	} changes[] = {{0, 0x65}, {0, 0x44}, {0, 0x4f}, {3, 39}, {6, 0x20}, {7, 1}, {9, 17}, {32, 0x40}, {32, 0xf0}, {33, 0x12}, {33, 0x10}, {33, 0x06}};
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		uint8_t packet[sizeof syn_packet];
		struct net_syn syn;
		memcpy(packet, syn_packet, sizeof packet);
		packet[changes[i].at] = changes[i].value;
		CHECK(!net_syn_parse(packet, sizeof packet, &syn));
	}
}

static void answers_a_syn(void)
{
	struct net_syn syn;
	uint8_t out[NET_PACKET_BYTES];
	CHECK(net_syn_parse(syn_packet, sizeof syn_packet, &syn));
	size_t length = net_refuse(&syn, REFUSE_RESET, out);
	static const uint8_t acknowledged[] = {1, 2, 3, 5};
	CHECK(length == 40 && sealed(out, length) && out[33] == 0x14 && memcmp(out + 28, acknowledged, 4) == 0);
	CHECK(memcmp(out + 12, syn_packet + 16, 4) == 0 && memcmp(out + 16, syn_packet + 12, 4) == 0);
	CHECK(memcmp(out + 20, syn_packet + 22, 2) == 0 && memcmp(out + 22, syn_packet + 20, 2) == 0);
	length = net_refuse(&syn, REFUSE_HOST, out);
	CHECK(length == 56 && out[9] == 1 && out[20] == 3 && out[21] == 1);
	CHECK(sum_of(out, 20, 0) == 0xffff && sum_of(out + 20, length - 20, 0) == 0xffff && memcmp(out + 28, syn.packet, 28) == 0);
	CHECK(net_refuse(&syn, REFUSE_NETWORK, out) == 56 && out[21] == 0);
}

static void damaged_packets(void)
{
	uint64_t random = 11;
	for (int round = 0; round < 20000; round++) {
		uint8_t packet[sizeof syn_packet];
		uint8_t out[NET_PACKET_BYTES];
		struct net_syn syn;
		memcpy(packet, syn_packet, sizeof packet);
		for (uint64_t change = next_random(&random) % 4; change < 4; change++)
			packet[next_random(&random) % sizeof packet] = (uint8_t)next_random(&random);
		if (!net_syn_parse(packet, next_random(&random) % (sizeof packet + 1), &syn))
			continue;
		CHECK(syn.length <= sizeof packet && sealed(syn.packet, syn.length));
		CHECK(net_refuse(&syn, (enum net_refusal)(next_random(&random) % 3), out) <= sizeof out);
	}
}

static void refuses_queries(void)
{
	static const uint8_t query[] = {1, 2, 0x01, 0x10, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 1, 0, 1};
	uint8_t packet[sizeof query];
	memcpy(packet, query, sizeof packet);
	CHECK(net_dns_refuse(packet, sizeof packet, AUTHORITY_E_POLICY_DENY));
	/* QR and RD, RA and NXDOMAIN; the question as it was. */
	CHECK(packet[2] == 0x81 && packet[3] == 0x83 && memcmp(packet + 12, query + 12, sizeof query - 12) == 0);
	CHECK(!net_dns_refuse(packet, sizeof packet, AUTHORITY_E_POLICY_DENY));
	memcpy(packet, query, sizeof packet);
	CHECK(net_dns_refuse(packet, sizeof packet, AUTHORITY_E_AUDIT) && (packet[3] & 15) == 2);
	CHECK(!net_dns_refuse(packet, 11, AUTHORITY_E_AUDIT));
}

/* Against a search of all slots; few keys, so that many share one. */
static void finds_by_number(void)
{
	enum { SLOTS = 600, KEYS = 50 };
	static struct net_index index;
	static uint64_t keys[SLOTS];
	uint64_t random = 5;
	for (int round = 0; round < 20000; round++) {
		unsigned slot = (unsigned)(next_random(&random) % SLOTS), wanted = 0, found = 0;
		uint64_t key = next_random(&random) % KEYS + 1;
		/* Removing what is not there changes nothing. */
		net_index_remove(&index, key, SLOTS);
		if (keys[slot] != 0)
			net_index_remove(&index, keys[slot], slot);
		else
			net_index_add(&index, key, slot);
		keys[slot] = keys[slot] != 0 ? 0 : key;
		for (unsigned i = 0; i < SLOTS; i++)
			wanted += keys[i] == key;
		for (unsigned i = net_index_first(&index, key); i != INDEX_END; i = net_index_next(&index, i))
			found += keys[i] == key;
		CHECK(found == wanted);
	}
}

void test_net(void)
{
	TEST(reads_a_syn);
	TEST(refuses_what_is_no_syn);
	TEST(answers_a_syn);
	TEST(damaged_packets);
	TEST(refuses_queries);
	TEST(finds_by_number);
}
