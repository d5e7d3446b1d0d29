#include "net_table.h"

#include <unistd.h>

struct flow flows[FLOW_SLOTS];
const struct net_sockets *flow_sockets;
static size_t memory_max, memory;

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
	unsigned used = 0;
	struct flow *found = NULL;
	for (unsigned i = 0; i < SLOTS_PER_SESSION; i++) {
		if (slots[i].state == FREE && found == NULL)
			found = &slots[i];
		used += slots[i].state != FREE && slots[i].state != EARLY;
	}
	if (found == NULL || (state != EARLY && used >= FLOWS_PER_SESSION))
		return NULL;
	uint32_t generation = found->generation + 1;
	*found = (struct flow){.state = state, .generation = generation, .fd = -1, .credit = AUTHORITY_INITIAL_STREAM_CREDIT};
	return found;
}

void flow_forget(struct flow *flow)
{
	flow_memory_give(queue_length(&flow->to_program));
	queue_free(&flow->to_program);
	if (flow->fd >= 0)
		close(flow->fd);
	flow->fd = -1;
	flow->state = FREE;
}

void flow_clear_verdict(const struct flow *flow)
{
	flow_sockets->verdicts[flow->syn.tuple.source_port].allowed = 0;
}

struct flow *flow_of_stream(unsigned session, uint32_t stream)
{
	struct flow *slots = flow_slots(session);
	for (unsigned i = 0; i < SLOTS_PER_SESSION; i++)
		if (slots[i].stream == stream && (slots[i].state == OPEN || slots[i].state == OFFERED || slots[i].state == EARLY))
			return &slots[i];
	return NULL;
}

struct flow *flow_of_request(unsigned session, uint64_t id)
{
	struct flow *slots = flow_slots(session);
	for (unsigned i = 0; i < SLOTS_PER_SESSION; i++)
		if (slots[i].state == ASKING && slots[i].id == id)
			return &slots[i];
	return NULL;
}

struct flow *flow_of_tuple(const struct net_tuple *tuple)
{
	for (unsigned i = 0; i < FLOW_SLOTS; i++)
		if (flows[i].state != FREE && flows[i].state != EARLY && net_tuple_same(&flows[i].syn.tuple, tuple))
			return &flows[i];
	return NULL;
}

void flow_adopt_early(struct flow *flow)
{
	struct flow *spoke = flow_of_stream(flow_session(flow), flow->stream);
	if (spoke == NULL)
		return;
	flow->to_program = spoke->to_program;
	flow->gate_ended = spoke->gate_ended;
	flow->credit = spoke->credit;
	spoke->to_program = (struct queue){0};
	spoke->state = FREE;
}
