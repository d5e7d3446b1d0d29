/* Bounds that concern only init. What both ends must agree on stands in protocol.h. */
#ifndef AUTHORITY_BOUNDS_H
#define AUTHORITY_BOUNDS_H

/* Where a mounted file is bound from. */
#define DEVICE_FOLDER "/device"
/* Where the image is mounted until the agent's own mount namespace makes it the root. */
#define IMAGE_ROOT "/image"
#define IMAGE_DEVICE "/dev/vda"
#define MODULE_FOLDER "/modules"

/* ms a device or port may take to appear, and the gate to connect to a port. */
#define APPEAR_MS 10000
/* ms the proof that the fences hold may take. */
#define PROOF_MS 10000
/* ms after the last output byte, with credit left, before a stream that does not end is given up. */
#define DRAIN_MS 5000
/* ms the gate has to say POWER_OFF after EXITED or FAULT. */
#define LEAVE_MS 10000
/* ms between two TICK messages. */
#define TICK_MS 250

/* Bytes queued for the control port above which nothing more is produced, and above which the gate counts as dead. */
#define CONTROL_QUEUE_FULL (1u << 20)
#define CONTROL_QUEUE_MAX (4u << 20)
/* Bytes queued for the effects port: one frame being sent and one behind it. */
#define EFFECTS_QUEUE_MAX (2u << 20)
/* Bytes kept for one local client that does not read; beyond it the client is closed. */
#define CLIENT_QUEUE_MAX (4u << 20)
/* Bytes kept for all local clients together. */
#define CLIENTS_MEMORY_MAX (32u << 20)
/* Bytes read from one descriptor before the others get their turn. */
#define TURN_BYTES (64u << 10)
/* Bytes of the agent's stdin kept while it does not read. */
#define STDIN_QUEUE_MAX (64u << 10)

/* Opens of image files the gate was asked about and did not answer yet; further ones wait in the kernel's queue. */
#define MAX_OPEN_QUESTIONS 256
/* Entries of a read-only directory that may be re-created around a mount point missing in it. */
#define MAX_COVERED_ENTRIES 256
/* Directory entries looked at for a file that proves the fanotify fence. */
#define MAX_PROOF_ENTRIES 65536

/* KiB the kernel reads ahead on a host mount: two FUSE reads of the largest size, so that the gate reads one while the other comes over the port. */
#define FUSE_READ_AHEAD_KIB "1024"

#endif
