#ifndef AUTHORITY_POWER_H
#define AUTHORITY_POWER_H

/* The machine is gone when this is called: QEMU runs with -no-reboot. Nothing is written back: whoever needs that asked for fsync. */
_Noreturn void power_off(void);

#endif
