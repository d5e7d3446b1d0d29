/*
 * The server on the host, the same for every client; it says its port. A connection begins with a command: E echoes, D sends as many bytes as the number that
 * follows says, U takes bytes to their end and answers with one.
 */
#ifndef BENCHMARKS_SERVER_H
#define BENCHMARKS_SERVER_H

_Noreturn void serve(void);

#endif
