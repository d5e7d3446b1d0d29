#ifndef AUTHORITY_RIGHTS_H
#define AUTHORITY_RIGHTS_H

#include <sys/types.h>

/*
 * Gives up everything the agent must not have, for the calling process and all it starts: every capability in every set, root's name, new privileges
 * through execve, core dumps, and the system calls of system_calls.h. Returns NULL, or what failed, with errno.
 */
const char *rights_drop(uid_t uid, gid_t gid);
/* Looks whether rights_drop did hold. Returns NULL, or what did not. */
const char *rights_check(uid_t uid, gid_t gid);

#endif
