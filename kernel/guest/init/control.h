/* The control port: what init tells the gate. Messages are queued and sent as the port takes them. */
#ifndef AUTHORITY_CONTROL_H
#define AUTHORITY_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

int control_open(void);
int control_fd(void);

void send_ready(void);
void send_armed(const char *const fences[], size_t count);
void send_started(int pid);
void send_exited(uint32_t kind, uint32_t value, uint64_t cpu_us, uint64_t max_rss_kib, uint32_t oom_kills);
void send_output(int stream, const void *bytes, size_t length);
void send_output_end(int stream);
void send_stdin_credit(size_t bytes);
void send_open_question(uint32_t id, int pid, bool exec, uint32_t links, const void *path, size_t length);
void send_fault(const char *stage, int error, const char *detail);
void send_pong(uint32_t number);
void send_program(uint32_t pid);
void send_signal_waits(uint32_t pid);
void send_looked_again(void);
void send_tick(uint64_t cpu_us);

/* Whether producers (output, questions) should wait. */
bool control_full(void);
bool control_pending(void);
/* Sends what the port takes; false when the gate is gone. */
bool control_flush(void);

enum control_state { CONTROL_NOTHING, CONTROL_MESSAGE, CONTROL_GONE, CONTROL_BAD };
/* Reads what is there. */
enum control_state control_receive(void);
/* The next whole message, valid until control_done; session numbers other than 0 are bad. */
enum control_state control_next(struct frame *out);
void control_done(const struct frame *frame);

#endif
