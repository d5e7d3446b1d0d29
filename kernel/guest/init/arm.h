#ifndef AUTHORITY_ARM_H
#define AUTHORITY_ARM_H

#include <stdbool.h>

#include "fault.h"
#include "setup.h"

/* Arms every fence, tries them, and tells the gate ARMED; or says which stage failed, and then no agent may be started. */
bool arm(const struct setup *setup, struct fault *fault);

#endif
