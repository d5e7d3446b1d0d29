#include "net_index.h"

/* Multiplicative hashing (Fibonacci): programs choose the keys, but a long chain slows only their own connections. */
static unsigned head_of(uint64_t key)
{
	return (unsigned)((key * 0x9e3779b97f4a7c15u) >> 51) % INDEX_HEADS;
}

void net_index_add(struct net_index *index, uint64_t key, unsigned slot)
{
	uint16_t *head = &index->heads[head_of(key)];
	index->next[slot] = *head;
	*head = (uint16_t)(slot + 1);
}

void net_index_remove(struct net_index *index, uint64_t key, unsigned slot)
{
	for (uint16_t *at = &index->heads[head_of(key)]; *at != 0; at = &index->next[*at - 1]) {
		if (*at != slot + 1)
			continue;
		*at = index->next[slot];
		return;
	}
}

unsigned net_index_first(const struct net_index *index, uint64_t key)
{
	unsigned head = index->heads[head_of(key)];
	return head == 0 ? INDEX_END : head - 1;
}

unsigned net_index_next(const struct net_index *index, unsigned slot)
{
	return index->next[slot] == 0 ? INDEX_END : index->next[slot] - 1u;
}
