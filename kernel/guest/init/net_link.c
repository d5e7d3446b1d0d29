#include "net_link.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bounds.h"
#include "queue.h"

/* Link header, array head, type, stream number, head of the byte string. */
#define DATA_HEAD_BYTES (AUTHORITY_LINK_HEADER_BYTES + 1 + 1 + 5 + 3)
/* Bytes queued for the port above which programs are not read; small messages may still be added up to the second bound. */
#define PORT_QUEUE_FULL (256u << 10)
#define PORT_QUEUE_MAX (8u << 20)
#define CLIENT_NAME "init net"

enum end { END_PORT = 10, END_FRAME = 11, END_MEMORY = 12 };

static int port = -1;
/* A frame of data is just above 64 KiB: memory given back after each would be mapped, zeroed and faulted in again for the next. */
#define PORT_QUEUE_KEPT (512u << 10)
static struct queue to_gate = {.kept = PORT_QUEUE_KEPT}, from_gate = {.kept = PORT_QUEUE_KEPT};
static struct {
	bool open;
	uint64_t last_id;
} sessions[NET_SESSIONS + 1];

void net_link_use(int fd)
{
	port = fd;
}

bool net_link_full(void)
{
	return queue_length(&to_gate) >= PORT_QUEUE_FULL;
}

bool net_link_pending(void)
{
	return queue_length(&to_gate) > 0;
}

void net_link_flush(void)
{
	if (!queue_flush(&to_gate, port))
		_exit(END_PORT);
}

static void put_frame(unsigned session, const uint8_t *item, size_t length)
{
	uint8_t header[AUTHORITY_LINK_HEADER_BYTES];
	frame_put_header(header, session, length);
	if (!queue_put(&to_gate, header, sizeof header, PORT_QUEUE_MAX) || !queue_put(&to_gate, item, length, PORT_QUEUE_MAX))
		_exit(END_MEMORY);
}

struct cbor_writer net_link_message(uint8_t bytes[NET_MESSAGE_BYTES], size_t elements, unsigned type)
{
	struct cbor_writer out = cbor_write(bytes, NET_MESSAGE_BYTES);
	cbor_put_array(&out, elements);
	cbor_put_uint(&out, type);
	return out;
}

static void send_whole(unsigned session, const struct cbor_writer *message)
{
	if (message->full)
		_exit(END_MEMORY);
	put_frame(session, message->bytes, message->length);
}

static void open_session(unsigned session)
{
	uint8_t bytes[NET_MESSAGE_BYTES];
	struct cbor_writer open = net_link_message(bytes, AUTHORITY_LINK_SESSION_OPEN_ELEMENTS, AUTHORITY_LINK_SESSION_OPEN);
	cbor_put_uint(&open, session);
	cbor_put_uint(&open, (uint64_t)getpid());
	cbor_put_uint(&open, getuid());
	cbor_put_text(&open, CLIENT_NAME, AUTHORITY_MAX_EXE_BYTES);
	send_whole(0, &open);
	struct cbor_writer hello = net_link_message(bytes, 5, AUTHORITY_MESSAGE_HELLO);
	cbor_put_uint(&hello, AUTHORITY_PROTOCOL_VERSION);
	cbor_put_uint(&hello, AUTHORITY_GENERATION);
	cbor_put_text(&hello, CLIENT_NAME, sizeof CLIENT_NAME);
	cbor_put_null(&hello);
	send_whole(session, &hello);
	sessions[session].open = true;
	sessions[session].last_id = 0;
}

void net_link_send(unsigned session, const struct cbor_writer *message)
{
	if (!sessions[session].open)
		open_session(session);
	send_whole(session, message);
}

uint64_t net_link_next_id(unsigned session)
{
	if (!sessions[session].open)
		open_session(session);
	return ++sessions[session].last_id;
}

ssize_t net_link_send_from(unsigned session, uint32_t stream, int fd, size_t max)
{
	uint8_t head[DATA_HEAD_BYTES];
	if (max > AUTHORITY_MAX_CHUNK_BYTES)
		max = AUTHORITY_MAX_CHUNK_BYTES;
	uint8_t *room = queue_room(&to_gate, sizeof head + max, PORT_QUEUE_MAX);
	if (room == NULL)
		_exit(END_MEMORY);
	ssize_t got = read(fd, room + sizeof head, max);
	if (got <= 0)
		return got;
	struct cbor_writer item = cbor_write(head + AUTHORITY_LINK_HEADER_BYTES, sizeof head - AUTHORITY_LINK_HEADER_BYTES);
	cbor_put_array(&item, 3);
	cbor_put_uint(&item, AUTHORITY_MESSAGE_STREAM_DATA);
	cbor_put_uint(&item, stream);
	cbor_put_bytes_head(&item, (size_t)got);
	frame_put_header(head, session, item.length + (size_t)got);
	size_t head_bytes = AUTHORITY_LINK_HEADER_BYTES + item.length;
	memcpy(room, head, head_bytes);
	memmove(room + head_bytes, room + sizeof head, (size_t)got);
	queue_grew(&to_gate, head_bytes + (size_t)got);
	return got;
}

static void take_control(const struct frame *frame, void (*closed)(unsigned session))
{
	struct cbor_reader in = cbor_read(frame->item, frame->item_length);
	bool close_message = cbor_array(&in, AUTHORITY_LINK_SESSION_CLOSE_ELEMENTS) == AUTHORITY_LINK_SESSION_CLOSE_ELEMENTS &&
			     cbor_uint(&in, UINT32_MAX) == AUTHORITY_LINK_SESSION_CLOSE;
	unsigned session = (unsigned)cbor_uint(&in, NET_SESSIONS);
	if (!close_message || !cbor_end(&in) || session == 0 || !sessions[session].open)
		_exit(END_FRAME);
	uint8_t bytes[NET_MESSAGE_BYTES];
	struct cbor_writer answer = net_link_message(bytes, AUTHORITY_LINK_SESSION_CLOSE_ELEMENTS, AUTHORITY_LINK_SESSION_CLOSE);
	cbor_put_uint(&answer, session);
	sessions[session].open = false;
	send_whole(0, &answer);
	closed(session);
}

void net_link_receive(void (*take)(const struct frame *), void (*closed)(unsigned session))
{
	struct frame frame;
	enum frame_state state;
	if (queue_fill(&from_gate, port, TURN_BYTES, AUTHORITY_MAX_FRAME_BYTES + AUTHORITY_LINK_HEADER_BYTES) == FILL_END)
		_exit(END_PORT);
	while ((state = frame_parse(queue_bytes(&from_gate), queue_length(&from_gate), &frame)) == FRAME_WHOLE) {
		if (frame.session == 0)
			take_control(&frame, closed);
		else if (frame.session <= NET_SESSIONS && sessions[frame.session].open)
			take(&frame);
		queue_take(&from_gate, frame.length);
	}
	if (state == FRAME_BAD)
		_exit(END_FRAME);
}
