#include "net_ask.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "net_flow.h"
#include "system.h"

/* ms a program has to finish a handshake that was let through. */
#define OFFER_MS 10000
/* ms the SYNs of an attempt that timed out are swallowed: longer than the kernel repeats them. */
#define SILENT_MS 40000
/* The filter cuts there: the headers of a SYN are in it, its data is not wanted. */
#define SYN_BYTES 256

static void ask(struct flow *flow)
{
	char host[INET_ADDRSTRLEN];
	uint8_t bytes[NET_MESSAGE_BYTES];
	unsigned session = flow_session(flow);
	inet_ntop(AF_INET, &flow->syn.tuple.destination, host, sizeof host);
	flow_set_request(flow, net_link_next_id(session));
	struct cbor_writer out = net_link_message(bytes, 6, AUTHORITY_MESSAGE_REQUEST);
	cbor_put_uint(&out, flow->id);
	cbor_put_uint(&out, AUTHORITY_OPERATION_NET_CONNECT);
	cbor_put_uint(&out, ASK_MS);
	cbor_put_uint(&out, 0);
	cbor_put_array(&out, 2);
	cbor_put_text(&out, host, sizeof host);
	cbor_put_uint(&out, flow->syn.tuple.destination_port);
	net_link_send(session, &out);
}

static void send_packet(const uint8_t *packet, size_t length, uint32_t to)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {to}};
	/* A packet that is not taken is repeated by the program's kernel. */
	sendto(flow_sockets->raw, packet, length, MSG_NOSIGNAL, (struct sockaddr *)&address, sizeof address);
}

/* The gate dialled: the SYN goes on its way again, this time to the listener. */
static void offer(struct flow *flow, uint32_t stream)
{
	volatile struct net_verdict *verdict = &flow_sockets->verdicts[flow->syn.tuple.source_port];
	flow_take_stream(flow, stream);
	flow->state = OFFERED;
	flow->until = now_ms() + OFFER_MS;
	verdict->source = flow->syn.tuple.source;
	verdict->destination = flow->syn.tuple.destination;
	verdict->destination_port = flow->syn.tuple.destination_port;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	verdict->allowed = 1;
	send_packet(flow->syn.packet, flow->syn.length, flow->syn.tuple.destination);
}

static bool is(struct span text, const char *name)
{
	return text.length == strlen(name) && memcmp(text.bytes, name, text.length) == 0;
}

static void refuse(struct flow *flow, struct span error)
{
	uint8_t packet[NET_PACKET_BYTES];
	if (is(error, "ETIMEDOUT")) {
		flow->state = SILENT;
		flow->until = now_ms() + SILENT_MS;
		return;
	}
	enum net_refusal how = is(error, "EHOSTUNREACH") ? REFUSE_HOST : is(error, "ENETUNREACH") ? REFUSE_NETWORK : REFUSE_RESET;
	size_t length = net_refuse(&flow->syn, how, packet);
	send_packet(packet, length, flow->syn.tuple.source);
	flow_forget(flow);
}

void net_ask_answer(unsigned session, uint64_t type, struct cbor_reader *in)
{
	uint64_t id = cbor_uint(in, UINT64_MAX);
	struct flow *flow = in->bad ? NULL : flow_of_request(session, id);
	if (flow == NULL)
		return;
	if (type == AUTHORITY_MESSAGE_RESULT) {
		size_t results = cbor_array(in, AUTHORITY_MAX_CBOR_ARRAY);
		uint64_t stream = cbor_uint(in, UINT32_MAX);
		if (!in->bad && results > 0 && stream > 0) {
			offer(flow, (uint32_t)stream);
			return;
		}
		refuse(flow, (struct span){.bytes = (const uint8_t *)"", .length = 0});
		return;
	}
	cbor_uint(in, UINT16_MAX);
	cbor_text(in, AUTHORITY_MAX_MESSAGE_BYTES);
	refuse(flow, cbor_text(in, 32));
}

void net_ask_refuse(struct flow *flow)
{
	refuse(flow, (struct span){.bytes = (const uint8_t *)"", .length = 0});
}

static void take_syn(const struct net_syn *syn)
{
	struct flow *flow = flow_of_tuple(&syn->tuple);
	if (flow != NULL && flow->state == SILENT && flow->syn.sequence != syn->sequence) {
		flow_forget(flow);
		flow = NULL;
	}
	/* Repeated while the gate decides, or our own on its way again. */
	if (flow != NULL) {
		if (flow->state == ASKING)
			flow->syn = *syn;
		return;
	}
	for (unsigned session = NET_FIRST_FLOW_SESSION; session < NET_ACCEPT_SESSION; session++) {
		flow = flow_new(session, ASKING);
		if (flow == NULL)
			continue;
		flow_set_syn(flow, syn);
		ask(flow);
		return;
	}
	/* All are in use: the program's kernel repeats the SYN, and gives up by itself. */
}

void net_flows_asked(void)
{
	static uint8_t packets[FLOW_TURN][SYN_BYTES];
	struct iovec rooms[FLOW_TURN];
	struct mmsghdr messages[FLOW_TURN] = {0};
	struct net_syn syn;
	for (unsigned i = 0; i < FLOW_TURN; i++) {
		rooms[i] = (struct iovec){.iov_base = packets[i], .iov_len = SYN_BYTES};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &rooms[i], .msg_iovlen = 1};
	}
	int got = recvmmsg(flow_sockets->syns, messages, FLOW_TURN, MSG_TRUNC, NULL);
	for (int i = 0; i < got; i++) {
		size_t have = messages[i].msg_len < SYN_BYTES ? messages[i].msg_len : SYN_BYTES;
		if (net_syn_parse(packets[i], have, &syn))
			take_syn(&syn);
	}
}
