#ifndef AUTHORITY_SECCOMP_H
#define AUTHORITY_SECCOMP_H

/* Installs the agent's system call filter on the calling thread, for good. 0 or -1 with errno. */
int seccomp_install(void);

#endif
