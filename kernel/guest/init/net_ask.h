/* Connection attempts: a captured SYN becomes a net.connect request; its answer lets the SYN through or refuses it. */
#ifndef AUTHORITY_NET_ASK_H
#define AUTHORITY_NET_ASK_H

#include <stdint.h>

#include "cbor.h"
#include "net_table.h"

/* RESULT or ERROR of a session that carries connections, read up to its type. */
void net_ask_answer(unsigned session, uint64_t type, struct cbor_reader *in);
/* Refuses an attempt the gate will not answer any more. */
void net_ask_refuse(struct flow *flow);

#endif
