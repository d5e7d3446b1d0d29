#include "modules.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bounds.h"
#include "system.h"

static int load(const char *name)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, MODULE_FOLDER "/%s", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int failed = syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST;
	int error = errno;
	close(fd);
	errno = error;
	return failed ? -1 : 0;
}

int modules_load(void)
{
	FILE *list = fopen(MODULE_FOLDER "/list", "re");
	if (list == NULL)
		return errno == ENOENT ? 0 : -1;
	char line[NAME_MAX + 2];
	int result = 0;
	while (result == 0 && fgets(line, sizeof line, list) != NULL) {
		line[strcspn(line, "\r\n")] = 0;
		if (line[0] == 0)
			continue;
		result = load(line);
		if (result != 0)
			log_line("module %s: %s", line, strerror(errno));
	}
	int error = errno;
	fclose(list);
	errno = error;
	return result;
}
