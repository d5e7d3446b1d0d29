#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#ifndef RNDRESEEDCRNG
#define RNDRESEEDCRNG _IO('R', 0x07)
#endif

static uint64_t clock_ms(clockid_t clock)
{
	struct timespec at;
	clock_gettime(clock, &at);
	return (uint64_t)at.tv_sec * 1000 + (uint64_t)at.tv_nsec / 1000000;
}

uint64_t now_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

uint64_t boot_ms(void)
{
	return clock_ms(CLOCK_BOOTTIME);
}

void sleep_ms(unsigned ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

/* First line of /proc/stat (proc(5)): user nice system idle iowait irq softirq steal …, in clock ticks. Stolen time was not used by the guest. */
uint64_t guest_cpu_us(void)
{
	char text[256];
	int fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	if (got <= 0)
		return 0;
	text[got] = 0;
	unsigned long long user, nice, system, idle, iowait, irq, softirq;
	if (sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &iowait, &irq, &softirq) != 7)
		return 0;
	return (user + nice + system + irq + softirq) * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

uint32_t oom_kills(void)
{
	static char text[16384];
	size_t have = 0;
	ssize_t got;
	int fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && have < sizeof text - 1 && (got = read(fd, text + have, sizeof text - 1 - have)) > 0)
		have += (size_t)got;
	if (fd >= 0)
		close(fd);
	text[have] = 0;
	const char *line = strstr(text, "\noom_kill ");
	unsigned count = 0;
	return line != NULL && sscanf(line, "\noom_kill %u", &count) == 1 ? count : 0;
}

void log_line(const char *format, ...)
{
	char line[256];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof line - 1, format, arguments);
	va_end(arguments);
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (length < 0 || fd < 0)
		return;
	/* The kernel log is a courtesy: nothing depends on the line arriving. */
	ssize_t ignored = write(fd, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
	(void)ignored;
	close(fd);
}

int add_entropy(const uint8_t bytes[32])
{
	struct {
		int bits;
		int size;
		uint8_t bytes[32];
	} pool = {.bits = 256, .size = 32};
	memcpy(pool.bytes, bytes, sizeof pool.bytes);
	int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int failed = ioctl(fd, RNDADDENTROPY, &pool) != 0 || ioctl(fd, RNDRESEEDCRNG, 0) != 0;
	int error = errno;
	close(fd);
	explicit_bzero(&pool, sizeof pool);
	errno = error;
	return failed ? -1 : 0;
}

int set_clock(uint64_t seconds, uint32_t nanoseconds)
{
	struct timespec at = {.tv_sec = (time_t)seconds, .tv_nsec = (long)nanoseconds};
	return clock_settime(CLOCK_REALTIME, &at);
}

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t written = write(fd, text, strlen(text));
	int error = errno;
	close(fd);
	errno = error;
	return written == (ssize_t)strlen(text) ? 0 : -1;
}

int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void close_all_but(const int *kept, size_t count)
{
	long limit = sysconf(_SC_OPEN_MAX);
	for (int fd = 3; fd < (int)limit; fd++) {
		bool wanted = false;
		for (size_t i = 0; i < count; i++)
			wanted = wanted || kept[i] == fd;
		if (!wanted)
			close(fd);
	}
}
