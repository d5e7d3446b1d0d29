#include "net_accept.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_flow.h"
#include "net_table.h"

/* Requests that wait at the gate at once. */
#define WAITING 4
/* ms: longer than the gate waits before it says that nothing came. */
#define WAIT_MS 60000

static unsigned waiting;
static bool nothing_published;

static void ask_one(void)
{
	uint8_t bytes[NET_MESSAGE_BYTES];
	struct cbor_writer out = net_link_message(bytes, 6, AUTHORITY_MESSAGE_REQUEST);
	cbor_put_uint(&out, net_link_next_id(NET_ACCEPT_SESSION));
	cbor_put_uint(&out, AUTHORITY_OPERATION_NET_ACCEPT);
	cbor_put_uint(&out, WAIT_MS);
	cbor_put_uint(&out, 0);
	cbor_put_array(&out, 1);
	cbor_put_uint(&out, 0);
	net_link_send(NET_ACCEPT_SESSION, &out);
	waiting++;
}

void net_accept_ask(void)
{
	while (!nothing_published && waiting < WAITING)
		ask_one();
}

/* The program's server, by its port on 127.0.0.1; -1 when the kernel has no descriptor left. */
static int dial_program(uint16_t port)
{
	const struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&server, sizeof server) != 0 && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

void net_accept_answer(uint64_t type, struct cbor_reader *in)
{
	waiting -= waiting > 0;
	cbor_uint(in, UINT64_MAX);
	if (type == AUTHORITY_MESSAGE_ERROR) {
		/* Any other error is tried again at the next tick: a busy gate is not asked in a circle. */
		nothing_published = nothing_published || cbor_uint(in, UINT16_MAX) == AUTHORITY_E_UNSUPPORTED;
		return;
	}
	cbor_array(in, AUTHORITY_MAX_CBOR_ARRAY);
	uint16_t port = (uint16_t)cbor_uint(in, UINT16_MAX);
	uint32_t stream = (uint32_t)cbor_uint(in, UINT32_MAX);
	if (!in->bad && stream > 0)
		net_flows_incoming(stream, dial_program(port));
	net_accept_ask();
}

void net_accept_session_closed(void)
{
	waiting = 0;
}
