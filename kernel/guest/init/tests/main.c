#include <stdlib.h>

#include "check.h"

unsigned checks_failed;
static unsigned passed, failed;
static unsigned rounds = 20000;

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

static void fuzzed_messages(void)
{
	fuzz_messages(rounds);
}

int main(int count, char **arguments)
{
	if (count > 1)
		rounds = (unsigned)atoi(arguments[1]);
	test_cbor();
	test_frame();
	test_queue();
	test_messages();
	test_clients();
	test_paths();
	test_net();
	test_flows();
	TEST(fuzzed_messages);
	printf("%u passed, %u failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}
