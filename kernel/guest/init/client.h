/* The local clients, by session number 1…AUTHORITY_MAX_SESSIONS: their sockets and bounded queues. */
#ifndef AUTHORITY_CLIENT_H
#define AUTHORITY_CLIENT_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

/* What the kernel says about who connected. */
struct client_identity {
	uint32_t pid, uid;
	char executable[PATH_MAX];
};

/* The lowest number not in use, 0 when all are. */
unsigned client_free_session(void);
void client_open(unsigned session, int fd, struct client_identity *who);
bool client_is_open(unsigned session);
/* The socket goes; the number stays taken until client_forget. */
void client_close(unsigned session);
void client_forget(unsigned session);

int client_fd(unsigned session);
short client_events(unsigned session);
/* Each false when the client must be closed. */
bool client_receive(unsigned session);
bool client_flush(unsigned session);
bool client_deliver(unsigned session, const struct frame *frame);

/* The first frame the client sent; one that names a session is forged, hence bad. */
enum frame_state client_next_frame(unsigned session, struct frame *out);
void client_took_frame(unsigned session, const struct frame *frame);

#endif
