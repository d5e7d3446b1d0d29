#include "measuring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

_Noreturn void fail(const char *what)
{
	printf("failed %s: %s\n", what, strerror(errno));
	fflush(stdout);
	exit(1);
}

double now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

void say(const char *who, const char *name, double value)
{
	printf("%s %s %.2f\n", who, name, value);
	fflush(stdout);
}

static int ascending(const void *a, const void *b)
{
	double one = *(const double *)a, two = *(const double *)b;
	return (one > two) - (one < two);
}

void sort_samples(double *samples, size_t count)
{
	qsort(samples, count, sizeof *samples, ascending);
}

static void load_modules(void)
{
	char name[128], path[160];
	FILE *list = fopen("/modules/list", "r");
	while (list != NULL && fscanf(list, "%127s", name) == 1) {
		snprintf(path, sizeof path, "/modules/%s", name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			syscall(SYS_finit_module, fd, "", 0), close(fd);
	}
	if (list != NULL)
		fclose(list);
}

_Noreturn void be_first_process(void (*work)(char **arguments), char **arguments)
{
	mkdir("/dev", 0755);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	dup2(open("/dev/ttyS0", O_WRONLY), 1);
	load_modules();
	pid_t worker = fork();
	if (worker == 0) {
		work(arguments);
		exit(0);
	}
	waitpid(worker, NULL, 0);
	reboot(RB_AUTOBOOT);
	_exit(1);
}
