/* What TCP costs a program: the same on the host, as the agent of a run and behind QEMU's user-mode network. */
#ifndef BENCHMARKS_CLIENT_H
#define BENCHMARKS_CLIENT_H

/* The server, and who is said to have been measured. */
void client_use(const char *who, const char *host, const char *port);
void measure(void);
/* Holds connections open, idle ones and then busy ones, for whoever looks at the gate meanwhile. */
void hold_connections(void);

#endif
