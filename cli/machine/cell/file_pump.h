/*
 * Host mounts: between the guest's virtio-fs devices and the gate. It stands in QEMU's cell and is trusted as little: it moves FUSE messages whole and understands none of them
 * but their number, and what it says to the gate is the guest's word.
 */
#ifndef AUTHORITY_FILE_PUMP_H
#define AUTHORITY_FILE_PUMP_H

#include <stdint.h>

#define MAX_DEVICES_OF_FILES 32

struct file_device {
    /* The end of the pair that is not QEMU's. */
    int socket;
    /* The mount's number on the link to the gate. */
    uint32_t mount;
};

/* Runs until the gate or QEMU is gone or the guest breaks a queue; then the program ends. */
_Noreturn void pump_files(int gate, const struct file_device *devices, int count);

#endif
