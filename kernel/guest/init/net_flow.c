#include "net_flow.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_accept.h"
#include "net_ask.h"
#include "net_table.h"
#include "system.h"

#define CREDIT_STEP (AUTHORITY_INITIAL_STREAM_CREDIT / 2)

static int watch = -1;

void net_flows_use(const struct net_sockets *sockets, int epoll, size_t memory)
{
	flow_table_use(sockets, memory);
	watch = epoll;
}

static void say(const struct flow *flow, unsigned type, size_t elements, uint64_t value, const char *text)
{
	uint8_t bytes[NET_MESSAGE_BYTES];
	struct cbor_writer out = net_link_message(bytes, elements, type);
	cbor_put_uint(&out, flow->stream);
	if (elements > 2)
		cbor_put_uint(&out, value);
	if (elements > 3)
		cbor_put_text(&out, text, NET_MESSAGE_BYTES / 2);
	net_link_send(flow_session(flow), &out);
}

static void say_reset(const struct flow *flow, const char *why)
{
	say(flow, AUTHORITY_MESSAGE_STREAM_RESET, 4, AUTHORITY_E_CANCELLED, why);
}

/* The program sees ECONNRESET. */
static void flow_abort_program(struct flow *flow)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	if (flow->fd >= 0)
		setsockopt(flow->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	if (flow->state == OFFERED)
		flow_clear_verdict(flow);
	flow_forget(flow);
}

/* Streams this side reset a moment ago: what was under way for them is dropped, and taken for no early one. */
#define REMEMBERED 256
static struct {
	uint32_t streams[REMEMBERED];
	unsigned next;
} gone[NET_FLOW_SESSIONS];

static void flow_abort(struct flow *flow, const char *why)
{
	unsigned at = flow_session(flow) - NET_FIRST_FLOW_SESSION;
	gone[at].streams[gone[at].next++ % REMEMBERED] = flow->stream;
	say_reset(flow, why);
	flow_abort_program(flow);
}

/* What `watched` is while a flow is not listened to at all: its socket is over in both directions, and would say so without end until there is credit to read the rest. */
#define UNWATCHED UINT32_MAX

static void watch_what_matters(struct flow *flow)
{
	if (flow->watched == UNWATCHED && flow->credit == 0)
		return;
	uint32_t wanted = (!flow->program_ended && flow->credit > 0 ? EPOLLIN : 0u) | (queue_length(&flow->to_program) > 0 ? EPOLLOUT : 0u);
	if (wanted == flow->watched)
		return;
	struct epoll_event event = {.events = wanted, .data.u64 = (uint64_t)flow->generation << 32 | (uint64_t)(flow - flows)};
	epoll_ctl(watch, flow->watched == UNWATCHED ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, flow->fd, &event);
	flow->watched = wanted;
}

static void stop_watching(struct flow *flow)
{
	epoll_ctl(watch, EPOLL_CTL_DEL, flow->fd, NULL);
	flow->watched = UNWATCHED;
}

/* After anything that moved: passes the end on, closes what is over. */
static void flow_settle(struct flow *flow)
{
	bool empty = queue_length(&flow->to_program) == 0;
	if (flow->gate_ended && empty && !flow->shut) {
		flow->shut = true;
		shutdown(flow->fd, SHUT_WR);
	}
	if (flow->shut && flow->program_ended)
		flow_forget(flow);
	else
		watch_what_matters(flow);
}

static void passed_on(struct flow *flow, size_t bytes)
{
	flow->owed += bytes;
	if (flow->owed < CREDIT_STEP || flow->gate_ended)
		return;
	say(flow, AUTHORITY_MESSAGE_STREAM_CREDIT, 3, flow->owed, NULL);
	flow->owed = 0;
}

/* False when the program is gone. */
static bool flow_flush(struct flow *flow)
{
	size_t before = queue_length(&flow->to_program);
	if (before == 0)
		return true;
	bool alive = queue_flush(&flow->to_program, flow->fd);
	size_t moved = before - queue_length(&flow->to_program);
	flow_memory_give(moved);
	if (moved > 0)
		passed_on(flow, moved);
	return alive;
}

static bool read_from_program(struct flow *flow)
{
	if (flow->program_ended || flow->credit == 0)
		return true;
	size_t most = flow->credit < AUTHORITY_MAX_CHUNK_BYTES ? (size_t)flow->credit : AUTHORITY_MAX_CHUNK_BYTES;
	ssize_t got = net_link_send_from(flow_session(flow), flow->stream, flow->fd, most);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	if (got > 0) {
		flow->credit -= (uint64_t)got;
		return true;
	}
	flow->program_ended = true;
	say(flow, AUTHORITY_MESSAGE_STREAM_END, 2, 0, NULL);
	return true;
}

void net_flows_ready(uint64_t tag, uint32_t events)
{
	uint32_t index = (uint32_t)tag;
	if (index >= FLOW_SLOTS || flows[index].state != OPEN || flows[index].generation != tag >> 32)
		return;
	struct flow *flow = &flows[index];
	bool alive = (events & EPOLLERR) == 0;
	if (alive && (events & (EPOLLIN | EPOLLHUP)) != 0)
		alive = read_from_program(flow);
	if (alive && (events & EPOLLOUT) != 0)
		alive = flow_flush(flow);
	if (alive && (events & EPOLLHUP) != 0 && flow->credit == 0 && !flow->program_ended)
		stop_watching(flow);
	if (alive)
		flow_settle(flow);
	else
		flow_abort(flow, "the program is gone");
}

static void deliver(struct flow *flow, struct span data)
{
	size_t written = 0;
	if (flow->state == OPEN && queue_length(&flow->to_program) == 0) {
		ssize_t now = send(flow->fd, data.bytes, data.length, MSG_NOSIGNAL);
		if (now < 0 && errno != EAGAIN && errno != EINTR) {
			flow_abort(flow, "the program is gone");
			return;
		}
		written = now > 0 ? (size_t)now : 0;
		if (written > 0)
			passed_on(flow, written);
	}
	size_t rest = data.length - written;
	if (rest > 0 && (!flow_memory_take(rest) || !queue_put(&flow->to_program, data.bytes + written, rest, AUTHORITY_INITIAL_STREAM_CREDIT))) {
		flow_abort(flow, "too much waits for programs that do not read");
		return;
	}
	if (flow->state == OPEN)
		flow_settle(flow);
}

static bool is_gone(unsigned session, uint32_t stream)
{
	for (unsigned i = 0; i < REMEMBERED; i++)
		if (gone[session - NET_FIRST_FLOW_SESSION].streams[i] == stream)
			return true;
	return false;
}

/* A stream may speak before the answer that names it: only while there is an answer to come. */
static struct flow *early(unsigned session, uint32_t stream)
{
	const struct flow *slots = flow_slots(session);
	bool asking = session == NET_ACCEPT_SESSION;
	for (unsigned i = 0; i < SLOTS_PER_SESSION && !asking; i++)
		asking = slots[i].state == ASKING;
	struct flow *flow = !asking || is_gone(session, stream) ? NULL : flow_new(session, EARLY);
	if (flow == NULL)
		return NULL;
	flow_set_stream(flow, stream);
	flow->until = now_ms() + ASK_MS;
	return flow;
}

static void take_stream(unsigned session, uint64_t type, struct cbor_reader *in)
{
	uint32_t stream = (uint32_t)cbor_uint(in, UINT32_MAX);
	struct flow *flow = in->bad || stream == 0 ? NULL : flow_of_stream(session, stream);
	if (flow == NULL && type != AUTHORITY_MESSAGE_STREAM_RESET && !in->bad && stream != 0)
		flow = early(session, stream);
	if (flow == NULL)
		return;
	if (type == AUTHORITY_MESSAGE_STREAM_DATA) {
		struct span data = cbor_bytes(in, AUTHORITY_MAX_CHUNK_BYTES);
		if (cbor_end(in))
			deliver(flow, data);
	} else if (type == AUTHORITY_MESSAGE_STREAM_END) {
		flow->gate_ended = true;
		if (flow->state == OPEN)
			flow_settle(flow);
	} else if (type == AUTHORITY_MESSAGE_STREAM_CREDIT) {
		flow->credit += cbor_uint(in, AUTHORITY_MAX_STREAM_CREDIT);
		if (flow->state == OPEN)
			flow_settle(flow);
	} else {
		flow_abort_program(flow);
	}
}

void net_flows_take(const struct frame *frame)
{
	struct cbor_reader in = cbor_read(frame->item, frame->item_length);
	cbor_array(&in, AUTHORITY_MAX_CBOR_ARRAY);
	uint64_t type = cbor_uint(&in, UINT32_MAX);
	if (type == AUTHORITY_MESSAGE_RESULT || type == AUTHORITY_MESSAGE_ERROR)
		frame->session == NET_ACCEPT_SESSION ? net_accept_answer(type, &in) : net_ask_answer(frame->session, type, &in);
	else if (type >= AUTHORITY_MESSAGE_STREAM_DATA && type <= AUTHORITY_MESSAGE_STREAM_RESET)
		take_stream(frame->session, type, &in);
}

void net_flows_session_closed(unsigned session)
{
	struct flow *slots = flow_slots(session);
	for (unsigned i = 0; i < SLOTS_PER_SESSION; i++) {
		if (slots[i].state == ASKING)
			net_ask_refuse(&slots[i]);
		else if (slots[i].state != FREE && slots[i].state != SILENT)
			flow_abort_program(&slots[i]);
	}
	if (session == NET_ACCEPT_SESSION)
		net_accept_session_closed();
	memset(&gone[session - NET_FIRST_FLOW_SESSION], 0, sizeof gone[0]);
}

int net_flow_options(int fd)
{
	const int on = 1;
	/* A byte sent as urgent stays in its place: the kernel would take it out of what is read, and nobody would get it. */
	return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ? -1 : setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
}

/* From here on bytes move between the socket and the stream. */
static void join(struct flow *flow, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)flow->generation << 32 | (uint64_t)(flow - flows)};
	flow->fd = fd;
	flow->state = OPEN;
	flow->watched = EPOLLIN;
	if (epoll_ctl(watch, EPOLL_CTL_ADD, fd, &event) != 0 || !flow_flush(flow))
		flow_abort(flow, "the program is gone");
	else
		flow_settle(flow);
}

static void take_connection(int fd, const struct sockaddr_in *program)
{
	struct sockaddr_in wanted;
	socklen_t size = sizeof wanted;
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	struct flow *flow = NULL;
	if (getsockname(fd, (struct sockaddr *)&wanted, &size) == 0) {
		struct net_tuple tuple = {program->sin_addr.s_addr, wanted.sin_addr.s_addr, ntohs(program->sin_port), ntohs(wanted.sin_port)};
		flow = flow_of_tuple(&tuple);
	}
	if (flow == NULL || flow->state != OFFERED) {
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
		close(fd);
		return;
	}
	flow_clear_verdict(flow);
	join(flow, fd);
}

void net_flows_incoming(uint32_t stream, int fd)
{
	struct flow *flow = fd < 0 ? NULL : flow_new(NET_ACCEPT_SESSION, ASKING);
	if (flow == NULL) {
		uint8_t bytes[NET_MESSAGE_BYTES];
		struct cbor_writer out = net_link_message(bytes, 4, AUTHORITY_MESSAGE_STREAM_RESET);
		cbor_put_uint(&out, stream);
		cbor_put_uint(&out, AUTHORITY_E_CANCELLED);
		cbor_put_text(&out, "no connection to the program", NET_MESSAGE_BYTES / 2);
		net_link_send(NET_ACCEPT_SESSION, &out);
		if (fd >= 0)
			close(fd);
		return;
	}
	net_flow_options(fd);
	flow_take_stream(flow, stream);
	join(flow, fd);
}

void net_flows_accept(void)
{
	struct sockaddr_in program;
	socklen_t size = sizeof program;
	/* One: the next poll tells of more, and mostly there is none. */
	int fd = accept4(flow_sockets->listener, (struct sockaddr *)&program, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		take_connection(fd, &program);
}

void net_flows_tick(void)
{
	uint64_t now = now_ms();
	for (unsigned i = 0; i < FLOW_SLOTS; i++) {
		struct flow *flow = &flows[i];
		if (flow->until == 0 || now < flow->until)
			continue;
		if (flow->state == SILENT)
			flow_forget(flow);
		else if (flow->state == OFFERED || flow->state == EARLY)
			flow_abort(flow, "the connection attempt was given up");
	}
}
