#include "net_table.h"

#include <unistd.h>

struct flow flows[FLOW_SLOTS];
const struct net_sockets *flow_sockets;
static size_t memory_max, memory;
static struct net_index by_tuple, by_request, by_stream;
/* Slots of each session in use, and of those the ones that are EARLY. */
static struct {
	unsigned used, early;
} counts[NET_FLOW_SESSIONS];

static unsigned slot_of(const struct flow *flow)
{
	return (unsigned)(flow - flows);
}

static uint64_t tuple_key(const struct net_tuple *tuple)
{
	return ((uint64_t)tuple->source << 32 | tuple->destination) ^ ((uint64_t)tuple->source_port << 40 | (uint64_t)tuple->destination_port << 16);
}

static uint64_t session_key(unsigned session, uint64_t number)
{
	return (uint64_t)session << 56 ^ number;
}

void flow_table_use(const struct net_sockets *sockets, size_t bytes)
{
	flow_sockets = sockets;
	memory_max = bytes;
}

bool flow_memory_take(size_t bytes)
{
	if (bytes > memory_max - memory)
		return false;
	memory += bytes;
	return true;
}

void flow_memory_give(size_t bytes)
{
	memory -= bytes;
}

unsigned flow_session(const struct flow *flow)
{
	return NET_FIRST_FLOW_SESSION + (unsigned)(flow - flows) / SLOTS_PER_SESSION;
}

struct flow *flow_slots(unsigned session)
{
	return &flows[(session - NET_FIRST_FLOW_SESSION) * SLOTS_PER_SESSION];
}

struct flow *flow_new(unsigned session, enum flow_state state)
{
	struct flow *slots = flow_slots(session);
	unsigned at = session - NET_FIRST_FLOW_SESSION, i = 0;
	if (counts[at].used == SLOTS_PER_SESSION || (state != EARLY && counts[at].used - counts[at].early >= FLOWS_PER_SESSION))
		return NULL;
	while (slots[i].state != FREE)
		i++;
	uint32_t generation = slots[i].generation + 1;
	slots[i] = (struct flow){.state = state, .generation = generation, .fd = -1, .credit = AUTHORITY_INITIAL_STREAM_CREDIT};
	counts[at].used++;
	counts[at].early += state == EARLY;
	return &slots[i];
}

void flow_set_syn(struct flow *flow, const struct net_syn *syn)
{
	flow->syn = *syn;
	net_index_add(&by_tuple, tuple_key(&syn->tuple), slot_of(flow));
}

void flow_set_request(struct flow *flow, uint64_t id)
{
	flow->id = id;
	net_index_add(&by_request, session_key(flow_session(flow), id), slot_of(flow));
}

void flow_set_stream(struct flow *flow, uint32_t stream)
{
	flow->stream = stream;
	net_index_add(&by_stream, session_key(flow_session(flow), stream), slot_of(flow));
}

void flow_forget(struct flow *flow)
{
	unsigned slot = slot_of(flow), session = flow_session(flow), at = session - NET_FIRST_FLOW_SESSION;
	net_index_remove(&by_tuple, tuple_key(&flow->syn.tuple), slot);
	net_index_remove(&by_request, session_key(session, flow->id), slot);
	net_index_remove(&by_stream, session_key(session, flow->stream), slot);
	flow_memory_give(queue_length(&flow->to_program));
	queue_free(&flow->to_program);
	if (flow->fd >= 0)
		close(flow->fd);
	flow->fd = -1;
	counts[at].used--;
	counts[at].early -= flow->state == EARLY;
	flow->state = FREE;
}

void flow_clear_verdict(const struct flow *flow)
{
	flow_sockets->verdicts[flow->syn.tuple.source_port].allowed = 0;
}

struct flow *flow_of_stream(unsigned session, uint32_t stream)
{
	for (unsigned i = net_index_first(&by_stream, session_key(session, stream)); i != INDEX_END; i = net_index_next(&by_stream, i))
		if (flows[i].stream == stream && flow_session(&flows[i]) == session)
			return &flows[i];
	return NULL;
}

struct flow *flow_of_request(unsigned session, uint64_t id)
{
	for (unsigned i = net_index_first(&by_request, session_key(session, id)); i != INDEX_END; i = net_index_next(&by_request, i))
		if (flows[i].state == ASKING && flows[i].id == id && flow_session(&flows[i]) == session)
			return &flows[i];
	return NULL;
}

struct flow *flow_of_tuple(const struct net_tuple *tuple)
{
	for (unsigned i = net_index_first(&by_tuple, tuple_key(tuple)); i != INDEX_END; i = net_index_next(&by_tuple, i))
		if (net_tuple_same(&flows[i].syn.tuple, tuple))
			return &flows[i];
	return NULL;
}

void flow_take_stream(struct flow *flow, uint32_t stream)
{
	struct flow *spoke = flow_of_stream(flow_session(flow), stream);
	if (spoke != NULL) {
		flow->to_program = spoke->to_program;
		flow->gate_ended = spoke->gate_ended;
		flow->credit = spoke->credit;
		spoke->to_program = (struct queue){0};
		flow_forget(spoke);
	}
	flow_set_stream(flow, stream);
}
