/* The DNS answer a refused query gets. Pure. */
#ifndef AUTHORITY_NET_DNS_REFUSAL_H
#define AUTHORITY_NET_DNS_REFUSAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Turns a query into its own refusal, in place: the header says why, the question stays. False for what is no query. */
bool net_dns_refuse(uint8_t *packet, size_t length, uint64_t error_code);

#endif
