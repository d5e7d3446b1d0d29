/* DNS queries of programs, over UDP and TCP, to any address: each packet goes to the gate as it is, and its answer comes back the same way. */
#ifndef AUTHORITY_NET_DNS_H
#define AUTHORITY_NET_DNS_H

#include <stdint.h>

#include "frame.h"

void net_dns_use(int udp, int tcp, int watch, uint64_t first_tag);
void net_dns_udp(void);
void net_dns_accept(void);
/* What epoll says of TCP connection `index`, counted from the first tag. */
void net_dns_ready(uint64_t index, uint32_t events);
void net_dns_take(const struct frame *frame);
void net_dns_session_closed(void);
void net_dns_tick(void);

#endif
