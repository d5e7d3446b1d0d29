#ifndef AUTHORITY_PROOF_H
#define AUTHORITY_PROOF_H

#include <stdbool.h>

#include "fault.h"

/*
 * Tries the armed fences the way an agent would, in a child with the agent's rights, before any agent exists: what must be refused must be refused.
 * `image` is a descriptor of the image's root.
 */
bool proof_run(int image, struct fault *fault);

#endif
