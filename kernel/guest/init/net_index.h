/* Finds slots of a table by a number: chains of slots that share a hash. Whoever looks compares what it finds. */
#ifndef AUTHORITY_NET_INDEX_H
#define AUTHORITY_NET_INDEX_H

#include <stdint.h>

/* A power of two, about twice the slots that are in use at most. */
#define INDEX_HEADS 8192u
#define INDEX_SLOTS 16384u
#define INDEX_END INDEX_SLOTS

struct net_index {
	/* One more than the slot; 0 ends a chain, so that zeroed memory is an empty index. */
	uint16_t heads[INDEX_HEADS], next[INDEX_SLOTS];
};

void net_index_add(struct net_index *index, uint64_t key, unsigned slot);
/* Nothing when it is not there. */
void net_index_remove(struct net_index *index, uint64_t key, unsigned slot);
/* INDEX_END when there is none, or no further one. */
unsigned net_index_first(const struct net_index *index, uint64_t key);
unsigned net_index_next(const struct net_index *index, unsigned slot);

#endif
