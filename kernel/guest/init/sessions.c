#include "sessions.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cbor.h"
#include "client.h"
#include "frame.h"
#include "bounds.h"
#include "port.h"
#include "queue.h"
#include "system.h"

#define SOCKET_FOLDER IMAGE_ROOT "/run/authority"
#define SOCKET_PATH IMAGE_ROOT AUTHORITY_GUEST_SOCKET
#define BACKLOG 64
#define OPEN_MESSAGE_BYTES (64 + AUTHORITY_MAX_EXE_BYTES)
/* Control messages get room beyond what frames may use: at most one OPEN and one CLOSE for each session number. */
#define CONTROL_ROOM (AUTHORITY_MAX_SESSIONS * (OPEN_MESSAGE_BYTES + 32))

static int port = -1;
static int listener = -1;
static struct queue to_gate;
static struct queue from_gate;
/* Where the next turn of taking frames from clients begins. */
static unsigned next_client;
static const char *broken;

static int listen_locally(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET_PATH};
	if (mkdir(SOCKET_FOLDER, 0755) != 0)
		return -1;
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0)
		return -1;
	/* The folder is root's: the agent can connect, and cannot put another socket in this one's place. */
	return chmod(SOCKET_PATH, 0666) != 0 || listen(listener, BACKLOG) != 0 ? -1 : 0;
}

bool sessions_open(struct fault *fault)
{
	port = port_open(AUTHORITY_PORT_EFFECTS);
	if (port < 0 || set_nonblocking(port) != 0)
		return fault_set(fault, "sessions", "the port " AUTHORITY_PORT_EFFECTS " did not appear");
	return listen_locally() == 0 || fault_set(fault, "sessions", AUTHORITY_GUEST_SOCKET " cannot be made");
}

const char *sessions_broken(void)
{
	return broken;
}

static void send_control(const struct cbor_writer *item)
{
	uint8_t header[AUTHORITY_LINK_HEADER_BYTES];
	frame_put_header(header, 0, item->length);
	if (item->full || !queue_put(&to_gate, header, sizeof header, EFFECTS_QUEUE_MAX + CONTROL_ROOM) ||
	    !queue_put(&to_gate, item->bytes, item->length, EFFECTS_QUEUE_MAX + CONTROL_ROOM))
		broken = "the effects port is not read";
}

static void send_open(unsigned session, const struct client_identity *who)
{
	uint8_t bytes[OPEN_MESSAGE_BYTES];
	struct cbor_writer out = cbor_write(bytes, sizeof bytes);
	cbor_put_array(&out, 5);
	cbor_put_uint(&out, AUTHORITY_LINK_SESSION_OPEN);
	cbor_put_uint(&out, session);
	cbor_put_uint(&out, who->pid);
	cbor_put_uint(&out, who->uid);
	cbor_put_text(&out, who->executable, AUTHORITY_MAX_EXE_BYTES);
	send_control(&out);
}

static void send_close(unsigned session)
{
	uint8_t bytes[16];
	struct cbor_writer out = cbor_write(bytes, sizeof bytes);
	cbor_put_array(&out, 2);
	cbor_put_uint(&out, AUTHORITY_LINK_SESSION_CLOSE);
	cbor_put_uint(&out, session);
	send_control(&out);
}

static void end_client(unsigned session)
{
	client_close(session);
	send_close(session);
}

static void accept_clients(int argument, short events)
{
	(void)argument;
	(void)events;
	unsigned session;
	while ((session = client_free_session()) != 0) {
		struct client_identity who;
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		client_open(session, fd, &who);
		send_open(session, &who);
	}
}

static void client_ready(int session, short events)
{
	bool alive = client_is_open((unsigned)session);
	if (alive && (events & (POLLIN | POLLHUP | POLLERR)) != 0)
		alive = client_receive((unsigned)session);
	if (alive && (events & POLLOUT) != 0)
		alive = client_flush((unsigned)session);
	if (!alive && client_is_open((unsigned)session))
		end_client((unsigned)session);
}

/* Moves the next whole frame of the client to the port; false when there is none or no room for it. */
static bool forward_frame(unsigned session)
{
	struct frame frame;
	uint8_t header[AUTHORITY_LINK_HEADER_BYTES];
	switch (client_next_frame(session, &frame)) {
	case FRAME_PARTIAL:
		return false;
	case FRAME_BAD:
		end_client(session);
		return false;
	case FRAME_WHOLE:
		break;
	}
	if (queue_length(&to_gate) + frame.length > EFFECTS_QUEUE_MAX)
		return false;
	frame_put_header(header, session, frame.item_length);
	bool queued = queue_put(&to_gate, header, sizeof header, EFFECTS_QUEUE_MAX) &&
		      queue_put(&to_gate, frame.item, frame.item_length, EFFECTS_QUEUE_MAX);
	if (!queued)
		broken = "no memory for a frame";
	client_took_frame(session, &frame);
	return queued;
}

/* One frame of each client in turn, until nobody has a whole one or the port's queue is full. */
static void forward_all(void)
{
	bool moved = true;
	while (moved && broken == NULL) {
		moved = false;
		for (unsigned i = 0; i < AUTHORITY_MAX_SESSIONS; i++) {
			unsigned session = 1 + (next_client + i) % AUTHORITY_MAX_SESSIONS;
			if (client_is_open(session) && forward_frame(session))
				moved = true;
		}
		next_client = (next_client + 1) % AUTHORITY_MAX_SESSIONS;
	}
}

/* The gate closes a session, or answers our own close of it; only then is the number free again. */
static void take_control(const struct frame *frame)
{
	struct cbor_reader in = cbor_read(frame->item, frame->item_length);
	bool close_message = cbor_array(&in, 2) == 2 && cbor_uint(&in, UINT32_MAX) == AUTHORITY_LINK_SESSION_CLOSE;
	unsigned session = (unsigned)cbor_uint(&in, AUTHORITY_MAX_SESSIONS);
	if (!close_message || !cbor_end(&in) || session == 0) {
		broken = "an unknown message on the effects port";
		return;
	}
	if (client_is_open(session))
		end_client(session);
	client_forget(session);
}

static void deliver(const struct frame *frame)
{
	if (frame->session == 0) {
		take_control(frame);
		return;
	}
	/* A frame that crossed our close is dropped. One for a client that does not read ends that client, and no other. */
	if (frame->session <= AUTHORITY_MAX_SESSIONS && client_is_open(frame->session) && !client_deliver(frame->session, frame))
		end_client(frame->session);
}

static void port_ready(int argument, short events)
{
	(void)argument;
	if ((events & POLLOUT) != 0 && !queue_flush(&to_gate, port))
		broken = "the effects port cannot be written";
	if ((events & (POLLIN | POLLHUP | POLLERR)) == 0)
		return;
	if (queue_fill(&from_gate, port, TURN_BYTES, AUTHORITY_MAX_FRAME_BYTES + AUTHORITY_LINK_HEADER_BYTES) == FILL_END) {
		broken = "the gate closed the effects port";
		return;
	}
	struct frame frame;
	enum frame_state state;
	while ((state = frame_parse(queue_bytes(&from_gate), queue_length(&from_gate), &frame)) == FRAME_WHOLE && broken == NULL) {
		deliver(&frame);
		queue_take(&from_gate, frame.length);
	}
	if (state == FRAME_BAD)
		broken = "a malformed frame on the effects port";
}

void sessions_poll(struct poll_set *set)
{
	if (port < 0)
		return;
	forward_all();
	poll_add(set, port, (short)(POLLIN | (queue_length(&to_gate) > 0 ? POLLOUT : 0)), port_ready, 0);
	if (client_free_session() != 0)
		poll_add(set, listener, POLLIN, accept_clients, 0);
	for (unsigned session = 1; session <= AUTHORITY_MAX_SESSIONS; session++)
		if (client_is_open(session))
			poll_add(set, client_fd(session), client_events(session), client_ready, (int)session);
}
