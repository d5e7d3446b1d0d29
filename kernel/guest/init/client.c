#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bounds.h"
#include "queue.h"

#define FRAME_MAX (AUTHORITY_MAX_FRAME_BYTES + AUTHORITY_LINK_HEADER_BYTES)

enum client_state { CLIENT_FREE, CLIENT_OPEN, CLIENT_CLOSING };

struct client {
	enum client_state state;
	int fd;
	struct queue received;
	struct queue unsent;
};

static struct client clients[AUTHORITY_MAX_SESSIONS + 1];

unsigned client_free_session(void)
{
	for (unsigned session = 1; session <= AUTHORITY_MAX_SESSIONS; session++)
		if (clients[session].state == CLIENT_FREE)
			return session;
	return 0;
}

static void identify(int fd, struct client_identity *who)
{
	struct ucred peer = {0};
	socklen_t size = sizeof peer;
	char link[64];
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	who->pid = (uint32_t)peer.pid;
	who->uid = peer.uid;
	snprintf(link, sizeof link, "/proc/%d/exe", (int)peer.pid);
	ssize_t length = readlink(link, who->executable, sizeof who->executable - 1);
	who->executable[length > 0 ? length : 0] = 0;
}

void client_open(unsigned session, int fd, struct client_identity *who)
{
	clients[session] = (struct client){.state = CLIENT_OPEN, .fd = fd};
	identify(fd, who);
}

bool client_is_open(unsigned session)
{
	return clients[session].state == CLIENT_OPEN;
}

void client_close(unsigned session)
{
	struct client *client = &clients[session];
	close(client->fd);
	client->fd = -1;
	client->state = CLIENT_CLOSING;
	queue_free(&client->received);
	queue_free(&client->unsent);
}

void client_forget(unsigned session)
{
	clients[session].state = CLIENT_FREE;
}

int client_fd(unsigned session)
{
	return clients[session].fd;
}

/* Memory all clients hold: a walk over 256 of them costs less than a count that could go wrong. */
static size_t memory_held(void)
{
	size_t total = 0;
	for (unsigned session = 1; session <= AUTHORITY_MAX_SESSIONS; session++)
		total += clients[session].received.capacity + clients[session].unsent.capacity;
	return total;
}

/* A client whose next frame waits for the port is not read further: its own socket pushes back. */
short client_events(unsigned session)
{
	struct frame frame;
	const struct client *client = &clients[session];
	bool waits = frame_parse(queue_bytes(&client->received), queue_length(&client->received), &frame) == FRAME_WHOLE;
	return (short)((waits ? 0 : POLLIN) | (queue_length(&client->unsent) > 0 ? POLLOUT : 0));
}

bool client_receive(unsigned session)
{
	struct client *client = &clients[session];
	if ((client_events(session) & POLLIN) == 0)
		return true;
	return queue_fill(&client->received, client->fd, TURN_BYTES, FRAME_MAX) != FILL_END && memory_held() <= CLIENTS_MEMORY_MAX;
}

bool client_flush(unsigned session)
{
	return queue_flush(&clients[session].unsent, clients[session].fd);
}

bool client_deliver(unsigned session, const struct frame *frame)
{
	struct client *client = &clients[session];
	uint8_t header[AUTHORITY_LINK_HEADER_BYTES];
	frame_put_header(header, 0, frame->item_length);
	return queue_put(&client->unsent, header, sizeof header, CLIENT_QUEUE_MAX) &&
	       queue_put(&client->unsent, frame->item, frame->item_length, CLIENT_QUEUE_MAX) && client_flush(session) &&
	       memory_held() <= CLIENTS_MEMORY_MAX;
}

enum frame_state client_next_frame(unsigned session, struct frame *out)
{
	const struct client *client = &clients[session];
	enum frame_state state = frame_parse(queue_bytes(&client->received), queue_length(&client->received), out);
	return state == FRAME_WHOLE && out->session != 0 ? FRAME_BAD : state;
}

void client_took_frame(unsigned session, const struct frame *frame)
{
	queue_take(&clients[session].received, frame->length);
}
