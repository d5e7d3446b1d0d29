/* The smallest test runner: each failed check says where; the end counts tests. */
#ifndef AUTHORITY_TESTS_CHECK_H
#define AUTHORITY_TESTS_CHECK_H

#include <stdint.h>
#include <stdio.h>

extern unsigned checks_failed;

#define CHECK(what)                                                                  \
	do {                                                                         \
		if (!(what)) {                                                       \
			checks_failed++;                                             \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);   \
		}                                                                    \
	} while (0)

/* Runs one test and counts whether a check in it failed. */
#define TEST(function) run_test(#function, function)
void run_test(const char *name, void (*test)(void));
/* Prints `N passed, M failed`; the exit code. */
int tests_report(void);

/* xorshift64*: the same numbers for the same seed, everywhere. */
uint64_t next_random(uint64_t *state);

void test_cbor(void);
void test_frame(void);
void test_queue(void);
void test_messages(void);
void test_clients(void);
void test_paths(void);
void test_net(void);
void test_flows(void);
void fuzz_messages(unsigned rounds);

#endif
