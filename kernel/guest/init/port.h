#ifndef AUTHORITY_PORT_H
#define AUTHORITY_PORT_H

/* Opens the virtio-serial port of that name once the gate is connected to it; blocking, close-on-exec. -1 with errno, ETIMEDOUT after APPEAR_MS. */
int port_open(const char *name);

#endif
