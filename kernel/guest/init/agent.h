/* The one agent: started with dropped rights in its own mount namespace, killed with all it left. */
#ifndef AUTHORITY_AGENT_H
#define AUTHORITY_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "fault.h"
#include "poll_set.h"
#include "start.h"
#include "streams.h"

bool agent_start(const struct start *start, const struct stream_ends *ends, struct fault *fault);
pid_t agent_pid(void);
void agent_poll(struct poll_set *set);
/* To the agent's process group. */
void agent_signal(int number);
/* Kills every process of the agent's user at once; they become PID 1's children and are reaped. */
void agent_kill_rest(uid_t uid);

enum agent_outcome { AGENT_RAN, AGENT_NOT_EXECUTED, AGENT_BROKEN };
/* How it went, once it was reaped: BROKEN means a fence failed inside the child, described in `fault`; NOT_EXECUTED gives the errno of execve. */
enum agent_outcome agent_outcome(int *exec_errno, struct fault *fault);

#endif
