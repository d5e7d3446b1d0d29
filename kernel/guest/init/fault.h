#ifndef AUTHORITY_FAULT_H
#define AUTHORITY_FAULT_H

#include <stdbool.h>

/* What went wrong first, for the FAULT message: the stage that could not be armed or broke, errno, and what exactly. */
struct fault {
	const char *stage;
	int error;
	char detail[192];
};

/* Notes the fault with the present errno; returns false, so that callers can `return fault_set(…)`. */
bool fault_set(struct fault *fault, const char *stage, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
