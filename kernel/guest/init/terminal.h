#ifndef AUTHORITY_TERMINAL_H
#define AUTHORITY_TERMINAL_H

#include <stdint.h>
#include <sys/types.h>

/* A new terminal of the agent's own /dev/pts: returns the agent's end and stores init's; -1 with errno. */
int terminal_open(int *ours, uid_t owner, uint16_t rows, uint16_t columns);
void terminal_resize(int ours, uint16_t rows, uint16_t columns);
/* What Ctrl-D does at the start of a line. */
void terminal_end_of_file(int ours);

#endif
