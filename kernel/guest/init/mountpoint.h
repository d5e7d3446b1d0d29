#ifndef AUTHORITY_MOUNTPOINT_H
#define AUTHORITY_MOUNTPOINT_H

#include <limits.h>
#include <stdbool.h>

#include "fault.h"

/*
 * Makes sure the absolute guest path `path` is a directory of the image, and writes where init sees it to `out`. A component missing in the read-only
 * image is made in a small file system laid over its parent, which shows the parent's entries unchanged. Symbolic links on the way are refused:
 * followed by init they would lead out of the image.
 */
bool mountpoint_prepare(const char *path, char out[PATH_MAX], struct fault *fault, const char *stage);
/* As above for a file: the last component is a regular file, empty when it had to be made. */
bool mountpoint_prepare_file(const char *path, char out[PATH_MAX], struct fault *fault, const char *stage);
/* Absolute, without empty, `.` or `..` components. */
bool path_is_plain(const char *path);

#endif
