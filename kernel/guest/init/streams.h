/* The agent's standard streams: pipes, or one terminal; metered by credit in both directions. */
#ifndef AUTHORITY_STREAMS_H
#define AUTHORITY_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "poll_set.h"
#include "start.h"

/* The agent's ends, to become its descriptors 0, 1 and 2; close-on-exec. */
struct stream_ends {
	int in, out, error;
	bool tty;
};

/* 0 or -1 with errno. */
int streams_open(const struct start *start, struct stream_ends *ends);
void streams_close_ends(const struct stream_ends *ends);
void streams_poll(struct poll_set *set);

/* False when the gate sent more than its credit. */
bool streams_stdin(const uint8_t *bytes, size_t length);
void streams_stdin_end(void);
bool streams_credit(int stream, uint64_t bytes);
void streams_window(uint16_t rows, uint16_t columns);

/* Whether all output was sent and both ends were told. */
bool streams_ended(void);
/* Gives up streams that stay open with credit left and nothing coming: something still holds them. `since` is when the agent was gone, in ms. */
void streams_give_up(uint64_t since);

#endif
