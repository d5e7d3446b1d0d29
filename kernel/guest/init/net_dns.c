#include "net_dns.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net_dns_refusal.h"
#include "net_link.h"
#include "system.h"

/* Queries the gate was asked and did not answer yet; a resolver repeats what is dropped beyond. */
#define MAX_QUERIES 128
#define MAX_CONNECTIONS 32
#define TURN 32
/* ms the gate has for an answer, and a connection for its next query. */
#define ANSWER_MS 10000
#define IDLE_MS 10000
#define NO_CONNECTION (-1)

struct query {
	bool used;
	uint64_t id, until;
	/* Where the answer goes: a connection, or from the address that was asked to the program. */
	int connection;
	uint32_t connection_generation;
	struct sockaddr_in program;
	struct in_addr asked;
	size_t length;
	uint8_t packet[AUTHORITY_MAX_DNS_BYTES];
};

struct connection {
	int fd;
	bool used;
	uint32_t generation;
	uint64_t until;
	size_t have;
	uint8_t bytes[2 + AUTHORITY_MAX_DNS_BYTES];
};

static struct query queries[MAX_QUERIES];
static struct connection connections[MAX_CONNECTIONS];
static int udp = -1, tcp = -1, watch = -1;
static uint64_t first_tag;

void net_dns_use(int datagrams, int listener, int epoll, uint64_t tag)
{
	udp = datagrams;
	tcp = listener;
	watch = epoll;
	first_tag = tag;
}

static struct query *ask(const uint8_t *packet, size_t length, int connection)
{
	struct query *query = NULL;
	for (unsigned i = 0; i < MAX_QUERIES && query == NULL; i++)
		if (!queries[i].used)
			query = &queries[i];
	if (query == NULL || length == 0 || length > AUTHORITY_MAX_DNS_BYTES)
		return NULL;
	uint8_t bytes[NET_MESSAGE_BYTES + AUTHORITY_MAX_DNS_BYTES];
	query->used = true;
	query->id = net_link_next_id(NET_DNS_SESSION);
	query->until = now_ms() + ANSWER_MS;
	query->connection = connection;
	query->length = length;
	memcpy(query->packet, packet, length);
	struct cbor_writer out = cbor_write(bytes, sizeof bytes);
	cbor_put_array(&out, 6);
	cbor_put_uint(&out, AUTHORITY_MESSAGE_REQUEST);
	cbor_put_uint(&out, query->id);
	cbor_put_uint(&out, AUTHORITY_OPERATION_NET_QUERY);
	cbor_put_uint(&out, ANSWER_MS);
	cbor_put_uint(&out, 0);
	cbor_put_array(&out, 2);
	cbor_put_bytes(&out, packet, length);
	cbor_put_bool(&out, connection != NO_CONNECTION);
	net_link_send(NET_DNS_SESSION, &out);
	return query;
}

void net_dns_udp(void)
{
	for (unsigned i = 0; i < TURN; i++) {
		uint8_t packet[AUTHORITY_MAX_DNS_BYTES + 1];
		union {
			struct cmsghdr head;
			uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
		} control;
		struct sockaddr_in program;
		struct iovec part = {.iov_base = packet, .iov_len = sizeof packet};
		struct msghdr message = {.msg_name = &program, .msg_namelen = sizeof program, .msg_iov = &part, .msg_iovlen = 1};
		message.msg_control = &control;
		message.msg_controllen = sizeof control;
		ssize_t got = recvmsg(udp, &message, 0);
		if (got < 0)
			return;
		struct cmsghdr *head = CMSG_FIRSTHDR(&message);
		if (head == NULL || head->cmsg_level != IPPROTO_IP || head->cmsg_type != IP_PKTINFO)
			continue;
		struct in_pktinfo asked;
		memcpy(&asked, CMSG_DATA(head), sizeof asked);
		struct query *query = ask(packet, (size_t)got, NO_CONNECTION);
		if (query == NULL)
			continue;
		query->program = program;
		query->asked = asked.ipi_addr;
	}
}

static void answer_udp(const struct query *query, const uint8_t *packet, size_t length)
{
	union {
		struct cmsghdr head;
		uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control;
	struct sockaddr_in program = query->program;
	struct iovec part = {.iov_base = (void *)(uintptr_t)packet, .iov_len = length};
	struct msghdr message = {.msg_name = &program, .msg_namelen = sizeof program, .msg_iov = &part, .msg_iovlen = 1};
	const struct in_pktinfo from = {.ipi_spec_dst = query->asked};
	memset(&control, 0, sizeof control);
	message.msg_control = &control;
	message.msg_controllen = sizeof control;
	control.head.cmsg_level = IPPROTO_IP;
	control.head.cmsg_type = IP_PKTINFO;
	control.head.cmsg_len = CMSG_LEN(sizeof from);
	memcpy(CMSG_DATA(&control.head), &from, sizeof from);
	sendmsg(udp, &message, MSG_NOSIGNAL);
}

static void end_connection(struct connection *connection)
{
	close(connection->fd);
	connection->used = false;
	connection->generation++;
}

static void answer_tcp(const struct query *query, const uint8_t *packet, size_t length)
{
	struct connection *connection = &connections[query->connection];
	uint8_t bytes[2 + AUTHORITY_MAX_DNS_BYTES];
	if (!connection->used || connection->generation != query->connection_generation)
		return;
	bytes[0] = (uint8_t)(length >> 8);
	bytes[1] = (uint8_t)length;
	memcpy(bytes + 2, packet, length);
	/* An answer is far smaller than the empty buffer of a socket: what does not fit belongs to a program that does not read. */
	if (send(connection->fd, bytes, 2 + length, MSG_NOSIGNAL) != (ssize_t)(2 + length))
		end_connection(connection);
	else
		connection->until = now_ms() + IDLE_MS;
}

static void answer(struct query *query, const uint8_t *packet, size_t length)
{
	query->used = false;
	if (length == 0)
		return;
	if (query->connection == NO_CONNECTION)
		answer_udp(query, packet, length);
	else
		answer_tcp(query, packet, length);
}

static void refuse(struct query *query, uint64_t code)
{
	if (net_dns_refuse(query->packet, query->length, code))
		answer(query, query->packet, query->length);
	query->used = false;
}

void net_dns_take(const struct frame *frame)
{
	struct cbor_reader in = cbor_read(frame->item, frame->item_length);
	size_t elements = cbor_array(&in, AUTHORITY_MAX_CBOR_ARRAY);
	uint64_t type = cbor_uint(&in, UINT32_MAX);
	uint64_t id = cbor_uint(&in, UINT64_MAX);
	if (in.bad || elements < 3 || (type != AUTHORITY_MESSAGE_RESULT && type != AUTHORITY_MESSAGE_ERROR))
		return;
	for (unsigned i = 0; i < MAX_QUERIES; i++) {
		struct query *query = &queries[i];
		if (!query->used || query->id != id)
			continue;
		if (type == AUTHORITY_MESSAGE_ERROR) {
			refuse(query, cbor_uint(&in, UINT16_MAX));
			return;
		}
		cbor_array(&in, AUTHORITY_MAX_CBOR_ARRAY);
		struct span packet = cbor_bytes(&in, AUTHORITY_MAX_DNS_BYTES);
		answer(query, packet.bytes, in.bad ? 0 : packet.length);
		return;
	}
}

void net_dns_session_closed(void)
{
	for (unsigned i = 0; i < MAX_QUERIES; i++)
		if (queries[i].used)
			refuse(&queries[i], AUTHORITY_E_IO);
}

void net_dns_accept(void)
{
	for (unsigned i = 0; i < MAX_CONNECTIONS; i++) {
		struct connection *connection = &connections[i];
		if (connection->used)
			continue;
		int fd = accept4(tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		*connection = (struct connection){.fd = fd, .used = true, .generation = connection->generation, .until = now_ms() + IDLE_MS};
		struct epoll_event event = {.events = EPOLLIN, .data.u64 = first_tag + i};
		if (epoll_ctl(watch, EPOLL_CTL_ADD, fd, &event) != 0)
			end_connection(connection);
	}
	/* Full: whoever comes is sent away, or the listener would be ready for ever. */
	int fd = accept4(tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
}

/* Whole queries that arrived, each sent on; false when one is impossible. */
static bool take_queries(struct connection *connection, int index)
{
	while (connection->have >= 2) {
		size_t length = (size_t)connection->bytes[0] << 8 | connection->bytes[1];
		if (length == 0 || length > AUTHORITY_MAX_DNS_BYTES)
			return false;
		if (connection->have < 2 + length)
			return true;
		struct query *query = ask(connection->bytes + 2, length, index);
		if (query == NULL)
			return false;
		query->connection_generation = connection->generation;
		connection->have -= 2 + length;
		memmove(connection->bytes, connection->bytes + 2 + length, connection->have);
	}
	return true;
}

void net_dns_ready(uint64_t index, uint32_t events)
{
	(void)events;
	if (index >= MAX_CONNECTIONS || !connections[index].used)
		return;
	struct connection *connection = &connections[index];
	ssize_t got = read(connection->fd, connection->bytes + connection->have, sizeof connection->bytes - connection->have);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	connection->have += got > 0 ? (size_t)got : 0;
	if (got <= 0 || !take_queries(connection, (int)index))
		end_connection(connection);
}

void net_dns_tick(void)
{
	uint64_t now = now_ms();
	for (unsigned i = 0; i < MAX_QUERIES; i++)
		if (queries[i].used && now > queries[i].until + ANSWER_MS)
			queries[i].used = false;
	for (unsigned i = 0; i < MAX_CONNECTIONS; i++)
		if (connections[i].used && now > connections[i].until)
			end_connection(&connections[i]);
}
