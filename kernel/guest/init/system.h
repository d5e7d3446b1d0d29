/* Small helpers over the kernel's interfaces: clock, entropy, console log, files of /proc and /sys. */
#ifndef AUTHORITY_SYSTEM_H
#define AUTHORITY_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ms since some fixed moment; does not jump when the clock is set. */
uint64_t now_ms(void);
/* ms since the kernel started. */
uint64_t boot_ms(void);
void sleep_ms(unsigned ms);
/* CPU time of the whole guest: µs that were not idle, over all CPUs. */
uint64_t guest_cpu_us(void);
/* Processes the kernel has killed because it had no memory left; 0 where it does not say. */
uint32_t oom_kills(void);

/* One line to the kernel log, seen only with a console. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* 32 bytes of the gate's entropy, credited and mixed in at once; 0 or -1 with errno. */
int add_entropy(const uint8_t bytes[32]);
int set_clock(uint64_t seconds, uint32_t nanoseconds);

int write_file(const char *path, const char *text);
int set_nonblocking(int fd);
/* Whatever else init has open is none of a process's business that it starts: all from 3 on. */
void close_all_but(const int *kept, size_t count);

#endif
