/* The kernel program (BPF sk_lookup) that decides which listener a SYN is for. */
#ifndef AUTHORITY_NET_PROGRAM_H
#define AUTHORITY_NET_PROGRAM_H

#include "fault.h"
#include "net_steer.h"

/* Loads and attaches it for this network namespace, for as long as the machine runs. The table of verdicts by source port, or NULL. */
volatile struct net_verdict *net_program_attach(int listener, int parking, struct fault *fault);

#endif
