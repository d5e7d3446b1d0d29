/* The table of captured connections, shared by what asks for them (net_ask.c) and what moves their bytes (net_flow.c). */
#ifndef AUTHORITY_NET_TABLE_H
#define AUTHORITY_NET_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "net_index.h"
#include "net_link.h"
#include "net_packet.h"
#include "net_steer.h"
#include "queue.h"

/* Connections one session carries: below the gate's own limit, which frees a stream a little later than this side. */
#define FLOWS_PER_SESSION 240
/* A stream may speak before the answer that names it arrives: as many slots again. */
#define SLOTS_PER_SESSION (2 * FLOWS_PER_SESSION)
#define FLOW_SLOTS (NET_FLOW_SESSIONS * SLOTS_PER_SESSION)
_Static_assert(FLOW_SLOTS <= INDEX_SLOTS, "every slot can be found");
/* SYNs taken in one turn. */
#define FLOW_TURN 32
/* ms the gate has for an answer; it dials within it. */
#define ASK_MS 60000

/* EARLY: a stream whose answer has not arrived. ASKING: the gate decides. OFFERED: let through, the handshake runs. SILENT: timed out, its SYNs are swallowed. */
enum flow_state { FREE, ASKING, OFFERED, OPEN, SILENT, EARLY };

struct flow {
	enum flow_state state;
	uint32_t generation;
	int fd;
	uint32_t stream, watched;
	/* `credit` is what may be sent to the gate, `owed` what was passed on and not yet given back to it. */
	uint64_t id, until, credit, owed;
	bool program_ended, gate_ended, shut;
	struct queue to_program;
	struct net_syn syn;
};

extern struct flow flows[FLOW_SLOTS];
extern const struct net_sockets *flow_sockets;

unsigned flow_session(const struct flow *flow);
struct flow *flow_slots(unsigned session);
/* NULL when the session carries as many as it may. The setters below make it be found by what they set. */
struct flow *flow_new(unsigned session, enum flow_state state);
void flow_set_syn(struct flow *flow, const struct net_syn *syn);
void flow_set_request(struct flow *flow, uint64_t id);
void flow_set_stream(struct flow *flow, uint32_t stream);
void flow_forget(struct flow *flow);
void flow_clear_verdict(const struct flow *flow);

struct flow *flow_of_stream(unsigned session, uint32_t stream);
struct flow *flow_of_request(unsigned session, uint64_t id);
struct flow *flow_of_tuple(const struct net_tuple *tuple);

/* The gate's answer: takes over what the stream said before it arrived. */
void flow_take_stream(struct flow *flow, uint32_t stream);

/* Counts bytes that wait for programs; false when there is no room for them. */
bool flow_memory_take(size_t bytes);
void flow_memory_give(size_t bytes);
void flow_table_use(const struct net_sockets *sockets, size_t memory);

#endif
