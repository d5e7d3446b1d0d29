#include <stdlib.h>

#include "check.h"

static unsigned rounds = 20000;

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
	return tests_report();
}
