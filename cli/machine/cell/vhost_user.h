/* The back end's side of vhost-user, as far as QEMU's vhost-user-fs device speaks it: where the guest's memory and its two queues are. */
#ifndef AUTHORITY_VHOST_USER_H
#define AUTHORITY_VHOST_USER_H

#include "virtqueue.h"

/* Forgets first, then requests (virtio 1.2, 5.11.2). */
#define QUEUES 2

struct vhost_device {
    int socket;
    struct guest_memory memory;
    struct virtqueue queue[QUEUES];
    uint64_t protocol_features;
    /* A queue was stopped: what is under way on it is given up. */
    void (*stopped)(struct vhost_device *device, int queue);
};

void vhost_init(struct vhost_device *device, int socket, void (*stopped)(struct vhost_device *, int));
/* Takes one message from the socket. False: the other end is gone, or says what it may not. */
bool vhost_receive(struct vhost_device *device);

#endif
