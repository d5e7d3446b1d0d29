/* The bytes of one connection, between a socket and frames of the net port: nothing lost, nothing spun on, and whoever is gone gone for both. */
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "net_flow.h"
#include "net_link.h"
#include "net_table.h"

#define STREAM 7u
#define MEMORY (64u << 10)
#define WINDOW ((size_t)AUTHORITY_INITIAL_STREAM_CREDIT)

static int gate = -1, watch = -1;
/* What the gate was told of the stream. */
static struct {
	size_t bytes, digest, ends, resets;
	uint64_t credit;
} heard;

/* Order counts. */
static size_t digest(size_t before, const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		before = before * 31 + bytes[i];
	return before;
}

static void hear(const struct frame *frame)
{
	struct cbor_reader in = cbor_read(frame->item, frame->item_length);
	cbor_array(&in, AUTHORITY_MAX_CBOR_ARRAY);
	uint64_t type = cbor_uint(&in, UINT32_MAX);
	if (frame->session != NET_ACCEPT_SESSION || type < AUTHORITY_MESSAGE_STREAM_DATA)
		return;
	CHECK(cbor_uint(&in, UINT32_MAX) == STREAM);
	if (type == AUTHORITY_MESSAGE_STREAM_DATA) {
		struct span data = cbor_bytes(&in, AUTHORITY_MAX_CHUNK_BYTES);
		CHECK(cbor_end(&in));
		heard.bytes += data.length;
		heard.digest = digest(heard.digest, data.bytes, data.length);
	} else if (type == AUTHORITY_MESSAGE_STREAM_CREDIT) {
		heard.credit += cbor_uint(&in, UINT32_MAX);
	} else {
		heard.ends += type == AUTHORITY_MESSAGE_STREAM_END;
		heard.resets += type == AUTHORITY_MESSAGE_STREAM_RESET;
	}
}

static void gate_reads(void)
{
	static uint8_t buffer[1 << 20];
	static size_t have;
	struct frame frame;
	ssize_t got;
	do {
		net_link_flush();
		got = read(gate, buffer + have, sizeof buffer - have);
		have += got > 0 ? (size_t)got : 0;
		size_t at = 0;
		while (frame_parse(buffer + at, have - at, &frame) == FRAME_WHOLE) {
			hear(&frame);
			at += frame.length;
		}
		memmove(buffer, buffer + at, have -= at);
	} while (got > 0 || net_link_pending());
}

static void session_closed(unsigned session)
{
	net_flows_session_closed(session);
}

/* One message of the gate about the stream; `data` stands for the last element of STREAM_DATA. */
static void gate_says(unsigned type, size_t elements, uint64_t value, const uint8_t *data)
{
	static uint8_t bytes[AUTHORITY_MAX_CHUNK_BYTES + 64];
	struct cbor_writer out = cbor_write(bytes + AUTHORITY_LINK_HEADER_BYTES, sizeof bytes - AUTHORITY_LINK_HEADER_BYTES);
	cbor_put_array(&out, elements);
	cbor_put_uint(&out, type);
	cbor_put_uint(&out, STREAM);
	if (data != NULL)
		cbor_put_bytes(&out, data, value);
	else if (elements > 2)
		cbor_put_uint(&out, value);
	if (elements > 3)
		cbor_put_text(&out, "", 1);
	frame_put_header(bytes, NET_ACCEPT_SESSION, out.length);
	size_t length = AUTHORITY_LINK_HEADER_BYTES + out.length;
	CHECK(!out.full && write(gate, bytes, length) == (ssize_t)length);
	/* A turn reads a part of a large frame. */
	net_link_receive(net_flows_take, session_closed);
	net_link_receive(net_flows_take, session_closed);
}

/* What epoll says is done, at most `most` times; how often it said something. */
static unsigned turns(unsigned most)
{
	struct epoll_event events[4];
	unsigned said = 0;
	while (said < most) {
		int ready = epoll_wait(watch, events, 4, 0);
		if (ready <= 0)
			break;
		said++;
		for (int i = 0; i < ready; i++)
			net_flows_ready(events[i].data.u64, events[i].events);
	}
	gate_reads();
	return said;
}

static void begin(void)
{
	static const struct net_sockets none;
	int ends[2];
	CHECK(gate >= 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
	if (gate < 0) {
		gate = ends[1];
		net_link_use(ends[0]);
		watch = epoll_create1(EPOLL_CLOEXEC);
		net_flows_use(&none, watch, MEMORY);
	}
	net_link_next_id(NET_ACCEPT_SESSION);
	gate_reads();
	memset(&heard, 0, sizeof heard);
}

/* The program's end of a connection that is joined to the stream. */
static int joined(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof at;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), program = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	begin();
	CHECK(bind(listener, (struct sockaddr *)&at, size) == 0 && listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&at, &size) == 0);
	CHECK(connect(program, (struct sockaddr *)&at, size) == 0);
	net_flows_incoming(STREAM, accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
	close(listener);
	return program;
}

static bool is_over(void)
{
	return flow_of_stream(NET_ACCEPT_SESSION, STREAM) == NULL;
}

static void send_all(int program, const uint8_t *bytes, size_t length)
{
	for (size_t at = 0; at < length; turns(1000)) {
		ssize_t sent = send(program, bytes + at, length - at, MSG_DONTWAIT | MSG_NOSIGNAL);
		at += sent > 0 ? (size_t)sent : 0;
	}
}

static uint8_t pattern[2 * AUTHORITY_INITIAL_STREAM_CREDIT];

static void moves_bytes_and_ends(void)
{
	uint8_t buffer[64];
	int program = joined();
	send_all(program, pattern, 100000);
	CHECK(heard.bytes == 100000 && heard.digest == digest(0, pattern, 100000) && heard.ends == 0);
	gate_says(AUTHORITY_MESSAGE_STREAM_DATA, 3, 5, pattern);
	gate_says(AUTHORITY_MESSAGE_STREAM_END, 2, 0, NULL);
	CHECK(recv(program, buffer, sizeof buffer, 0) == 5 && memcmp(buffer, pattern, 5) == 0 && recv(program, buffer, sizeof buffer, 0) == 0);
	CHECK(!is_over() && shutdown(program, SHUT_WR) == 0);
	turns(1000);
	CHECK(heard.ends == 1 && heard.resets == 0 && is_over());
	close(program);
}

/* Both ends of the socket are over while the gate gives no credit: what it still holds is neither lost nor asked for in a circle. */
static void keeps_what_was_said_last(void)
{
	int program = joined();
	send_all(program, pattern, WINDOW);
	CHECK(send(program, pattern, 1000, MSG_NOSIGNAL) == 1000);
	gate_says(AUTHORITY_MESSAGE_STREAM_END, 2, 0, NULL);
	close(program);
	CHECK(turns(1000) < 10 && turns(1000) == 0);
	CHECK(heard.bytes == WINDOW && heard.ends == 0 && heard.resets == 0);
	gate_says(AUTHORITY_MESSAGE_STREAM_CREDIT, 3, 5000, NULL);
	turns(1000);
	CHECK(heard.bytes == WINDOW + 1000 && heard.ends == 1 && heard.resets == 0 && is_over());
}

/* Urgent data is ordinary data, in its place in the stream. */
static void carries_urgent_data(void)
{
	int program = joined();
	CHECK(send(program, "before", 6, 0) == 6 && send(program, "!", 1, MSG_OOB) == 1 && send(program, "after", 5, 0) == 5);
	for (int round = 0; round < 1000 && heard.bytes < 12; round++)
		turns(1000);
	CHECK(heard.bytes == 12 && heard.digest == digest(0, (const uint8_t *)"before!after", 12));
	gate_says(AUTHORITY_MESSAGE_STREAM_RESET, 4, AUTHORITY_E_CANCELLED, NULL);
	close(program);
}

static void never_sends_beyond_its_credit(void)
{
	int program = joined();
	size_t sent = 0;
	for (ssize_t now; (now = send(program, pattern, sizeof pattern, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0 && sent < 64u * sizeof pattern; turns(1000))
		sent += (size_t)now;
	CHECK(sent > WINDOW && heard.bytes == WINDOW && turns(1000) == 0);
	close(program);
	gate_says(AUTHORITY_MESSAGE_STREAM_RESET, 4, AUTHORITY_E_CANCELLED, NULL);
	CHECK(is_over());
}

/* Credit comes back for what the program's kernel took, and only what it took. */
static void a_program_that_does_not_read(void)
{
	int program = joined();
	size_t given = 0;
	for (; given < 64u << 20 && !is_over(); given += AUTHORITY_MAX_CHUNK_BYTES) {
		gate_says(AUTHORITY_MESSAGE_STREAM_DATA, 3, AUTHORITY_MAX_CHUNK_BYTES, pattern);
		turns(1000);
	}
	/* A gate that ignores the window fills the memory: that connection is reset, and what was under way for it is no new one. */
	CHECK(is_over() && heard.resets == 1 && heard.credit < given);
	gate_says(AUTHORITY_MESSAGE_STREAM_DATA, 3, 10, pattern);
	turns(1000);
	CHECK(is_over() && heard.resets == 1);
	close(program);
	/* Its memory is free for the next. */
	CHECK(flow_memory_take(MEMORY) && !flow_memory_take(1));
	flow_memory_give(MEMORY);
}

static void an_abort_is_a_reset_for_both(void)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	uint8_t byte;
	int program = joined();
	CHECK(setsockopt(program, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0 && close(program) == 0);
	turns(1000);
	CHECK(heard.resets == 1 && heard.ends == 0 && is_over());
	net_flows_session_closed(NET_ACCEPT_SESSION);
	program = joined();
	gate_says(AUTHORITY_MESSAGE_STREAM_RESET, 4, AUTHORITY_E_CANCELLED, NULL);
	CHECK(is_over() && recv(program, &byte, 1, 0) == -1);
	close(program);
}

/* Whatever order a gate says things in, and whatever the program does meanwhile, sanitizers and table stay content. */
static void any_order(void)
{
	static const struct {
		unsigned type;
		size_t elements;
	} messages[] = {{AUTHORITY_MESSAGE_STREAM_END, 2}, {AUTHORITY_MESSAGE_STREAM_CREDIT, 3}, {AUTHORITY_MESSAGE_STREAM_RESET, 4}, {AUTHORITY_MESSAGE_STREAM_DATA, 2}};
	uint64_t random = 17;
	for (int round = 0; round < 300; round++) {
		int program = joined();
		for (int step = 0; step < 12; step++) {
			size_t size = next_random(&random) % 4096 + 1;
			uint64_t what = next_random(&random) % 8;
			if (what < 4)
				gate_says(messages[what].type, messages[what].elements, next_random(&random) % AUTHORITY_MAX_STREAM_CREDIT, NULL);
			else if (what == 4)
				send(program, pattern, size, MSG_DONTWAIT | MSG_NOSIGNAL);
			else if (what == 5)
				shutdown(program, (int)(next_random(&random) % 3));
			else
				gate_says(AUTHORITY_MESSAGE_STREAM_DATA, 3, size, pattern);
			turns(50);
		}
		close(program);
		net_flows_session_closed(NET_ACCEPT_SESSION);
		CHECK(is_over() && flow_memory_take(MEMORY));
		flow_memory_give(MEMORY);
	}
}

void test_flows(void)
{
	for (size_t i = 0; i < sizeof pattern; i++)
		pattern[i] = (uint8_t)(i % 251);
	TEST(moves_bytes_and_ends);
	TEST(keeps_what_was_said_last);
	TEST(carries_urgent_data);
	TEST(never_sends_beyond_its_credit);
	TEST(a_program_that_does_not_read);
	TEST(an_abort_is_a_reset_for_both);
	TEST(any_order);
}
