/* The net port: sessions with the gate, each opened when it is first needed, and the frames in both directions. */
#ifndef AUTHORITY_NET_LINK_H
#define AUTHORITY_NET_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cbor.h"
#include "frame.h"

/* Session of the DNS queries; those after it carry connections. */
#define NET_DNS_SESSION 1u
#define NET_FIRST_FLOW_SESSION 2u
#define NET_FLOW_SESSIONS 18u
/* The last of them carries connections from outside. */
#define NET_ACCEPT_SESSION (NET_FIRST_FLOW_SESSION + NET_FLOW_SESSIONS - 1)
#define NET_SESSIONS (NET_FIRST_FLOW_SESSION + NET_FLOW_SESSIONS - 1)
/* Room a message without data takes at most. */
#define NET_MESSAGE_BYTES 320

void net_link_use(int port);
/* Whether the gate is behind: nothing more is read from programs until it is not. */
bool net_link_full(void);
bool net_link_pending(void);
/* Each ends the process when the port is gone or what comes from it is malformed. */
void net_link_flush(void);
/* At most one read's worth of frames; `take` gets those of sessions, `closed` is told when the gate ended one. */
void net_link_receive(void (*take)(const struct frame *), void (*closed)(unsigned session));

/* Begins a message of `session` (opened when it is not); net_link_send sends it. */
struct cbor_writer net_link_message(uint8_t bytes[NET_MESSAGE_BYTES], size_t elements, unsigned type);
void net_link_send(unsigned session, const struct cbor_writer *message);
/* A request id of the session: greater than all before. */
uint64_t net_link_next_id(unsigned session);
/* STREAM_DATA with up to `max` bytes read from `fd`: what read(2) gave, with errno. */
ssize_t net_link_send_from(unsigned session, uint32_t stream, int fd, size_t max);

#endif
