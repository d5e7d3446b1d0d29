#include "check.h"

unsigned checks_failed;
static unsigned passed, failed;

uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717u;
}

void run_test(const char *name, void (*test)(void))
{
	unsigned before = checks_failed;
	test();
	if (checks_failed == before) {
		passed++;
	} else {
		failed++;
		fprintf(stderr, "FAILED %s\n", name);
	}
}

int tests_report(void)
{
	printf("%u passed, %u failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}
