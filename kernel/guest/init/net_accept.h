/* Connections from outside to ports the operator published: asked for one by one, each joined to a connection of ours to the program's own server. */
#ifndef AUTHORITY_NET_ACCEPT_H
#define AUTHORITY_NET_ACCEPT_H

#include <stdint.h>

#include "cbor.h"

/* Asks for as many as may wait, unless nothing is published; called at the start and about once a second. */
void net_accept_ask(void);
/* RESULT or ERROR of the session, read up to its type. */
void net_accept_answer(uint64_t type, struct cbor_reader *in);
void net_accept_session_closed(void);

#endif
