#ifndef AUTHORITY_LOOPBACK_H
#define AUTHORITY_LOOPBACK_H

/* Switches the loopback interface on, the only one there is. 0 or -1 with errno. */
int loopback_up(void);

#endif
