/* What the programs share that measure inside a guest: as the agent of a run, or as PID 1 of a bare machine with no Authority in it. */
#ifndef BENCHMARKS_MEASURING_H
#define BENCHMARKS_MEASURING_H

#include <stddef.h>

/* Says so on standard output, which whoever started the machine reads, and ends. */
_Noreturn void fail(const char *what);
double now_us(void);
/* One `WHO NAME NUMBER` line. */
void say(const char *who, const char *name, double value);
void sort_samples(double *samples, size_t count);

/* As PID 1: devices, console and kernel modules; then `work` in a process of its own, and the machine is off. */
_Noreturn void be_first_process(void (*work)(char **arguments), char **arguments);

#endif
