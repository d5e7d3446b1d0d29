/* The agent's file system as init builds it under IMAGE_ROOT, before anything of the agent runs. */
#ifndef AUTHORITY_MOUNTS_H
#define AUTHORITY_MOUNTS_H

#include <stdbool.h>

#include "fault.h"
#include "setup.h"

/* proc, sysfs and devtmpfs for init itself. 0 or -1 with errno. */
int mounts_for_init(void);
/* The image, read-only; `image` becomes a descriptor of its root that no later mount can cover. */
bool mounts_image(int *image, struct fault *fault);
/* /dev with the harmless devices, /proc showing the agent only its own processes, /run. */
bool mounts_system(struct fault *fault);
bool mounts_scratch(const struct setup *setup, struct fault *fault);
/* Makes the image the root of the calling process, which must have its own mount namespace. 0 or -1 with errno. */
int mounts_enter_image(void);

#endif
