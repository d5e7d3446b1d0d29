/*
 * Carries out scripts of socket operations against the server of differential-server.ts and prints what each answered, one line each.
 * Arguments: HOST PORT CLOSED-PORT SCRIPT... A line of a script: OPERATION SLOT A B; what an operation does not use is there all the same. differential.ts says
 * what each does. An operation that must wait for the far end waits for an event, never for time, so that the answers are the same on every machine.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SLOTS = 4, HEAD = 5, MOST = 1 << 16, WAIT_MS = 20000, SHORT_MS = 20 };
enum { BLOCKING, NON_BLOCKING, BOUND };

static int slots[SLOTS];
static struct sockaddr_in open_port, closed_port;
static uint8_t buffer[HEAD + MOST];

static void say(const char *format, long a, long b)
{
	printf(format, a, b);
	putchar('\n');
}

/* A number for bytes: FNV-1a. */
static long digest(const uint8_t *bytes, size_t count)
{
	uint32_t sum = 2166136261u;
	for (size_t i = 0; i < count; i++)
		sum = (sum ^ bytes[i]) * 16777619u;
	return (long)sum;
}

static short wait_for(int fd, short events)
{
	struct pollfd one = {.fd = fd, .events = events};
	if (poll(&one, 1, WAIT_MS) != 1)
		printf("no event within the deadline ");
	return one.revents;
}

/* A message to the server: a kind, a length, as many bytes. */
static size_t message(int kind, size_t length, long seed)
{
	uint32_t size = htonl((uint32_t)length);
	buffer[0] = (uint8_t)kind;
	memcpy(buffer + 1, &size, sizeof size);
	for (size_t i = 0; i < length; i++)
		buffer[HEAD + i] = (uint8_t)((long)i * 31 + seed);
	return HEAD + length;
}

static void connect_slot(int *fd, long how, long identity)
{
	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (how == NON_BLOCKING ? SOCK_NONBLOCK : 0), 0);
	struct sockaddr_in any = {.sin_family = AF_INET};
	if (how == BOUND && bind(*fd, (struct sockaddr *)&any, sizeof any) != 0)
		printf("bind %d ", errno);
	int error = connect(*fd, (struct sockaddr *)&open_port, sizeof open_port) == 0 ? 0 : errno;
	if (how == NON_BLOCKING) {
		socklen_t size = sizeof error;
		printf("at first %d ", error);
		wait_for(*fd, POLLOUT);
		getsockopt(*fd, SOL_SOCKET, SO_ERROR, &error, &size);
		fcntl(*fd, F_SETFL, 0);
	}
	size_t length = message('i', 0, 0);
	uint32_t number = htonl((uint32_t)identity);
	memcpy(buffer + 1, &number, sizeof number);
	say("connected %ld, said %ld", error, send(*fd, buffer, length, MSG_NOSIGNAL));
}

static void refused(long how)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (how == NON_BLOCKING ? SOCK_NONBLOCK : 0), 0);
	int first = connect(fd, (struct sockaddr *)&closed_port, sizeof closed_port) == 0 ? 0 : errno, error = 0;
	socklen_t size = sizeof error;
	if (how == NON_BLOCKING)
		printf("events %x ", (unsigned)wait_for(fd, POLLOUT | POLLIN));
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	say("refused %ld %ld", first, error);
	close(fd);
}

static void udp(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	connect(fd, (struct sockaddr *)&closed_port, sizeof closed_port);
	long sent = send(fd, "x", 1, 0);
	wait_for(fd, POLLIN);
	long got = recv(fd, buffer, 1, 0);
	say("datagram %ld, then error %ld", sent, got < 0 ? errno : 0);
	close(fd);
}

static void send_all(int fd, int kind, long length, long seed)
{
	size_t size = message(kind, (size_t)length, seed);
	ssize_t sent = send(fd, buffer, size, MSG_NOSIGNAL);
	say("sent %ld %ld", sent, sent < 0 ? errno : 0);
}

/* In three pieces of one call, or corked in three calls. */
static void send_pieces(int fd, long length, long seed)
{
	size_t size = message('e', (size_t)length, seed), third = size / 3;
	struct iovec parts[] = {{buffer, third}, {buffer + third, third}, {buffer + 2 * third, size - 2 * third}};
	long sent = 0;
	if (seed % 2 == 0)
		sent = writev(fd, parts, 3);
	else
		for (int i = 0; i < 3; i++)
			sent += send(fd, parts[i].iov_base, parts[i].iov_len, MSG_NOSIGNAL | (i < 2 ? MSG_MORE : 0));
	say("sent in pieces %ld", sent, 0);
}

static void send_spliced(int fd, long length, long seed)
{
	int pipes[2];
	size_t size = message('e', (size_t)length, seed);
	long moved = 0;
	if (pipe(pipes) != 0 || write(pipes[1], buffer, size) != (ssize_t)size)
		return say("pipe %ld", errno, 0);
	while (moved < (long)size) {
		ssize_t once = splice(pipes[0], NULL, fd, NULL, size - (size_t)moved, 0);
		if (once <= 0)
			break;
		moved += once;
	}
	say("spliced %ld", moved, 0);
	close(pipes[0]);
	close(pipes[1]);
}

/* MSG_WAITALL looks at no more than the first segments together with MSG_PEEK in some kernels: one byte is peeked at. */
static void receive(int fd, long length, int flags)
{
	if ((flags & MSG_PEEK) != 0)
		wait_for(fd, POLLIN);
	memset(buffer, 0, (size_t)length);
	ssize_t got = recv(fd, buffer, (size_t)length, flags);
	printf("error %d ", got < 0 ? errno : 0);
	say("received %ld %ld", got, got < 0 ? 0 : digest(buffer, (size_t)length));
}

static void receive_to_end(int fd)
{
	static uint8_t all[4 * MOST];
	size_t total = 0;
	ssize_t got = 0;
	while (total < sizeof all && (got = recv(fd, all + total, sizeof all - total, 0)) > 0)
		total += (size_t)got;
	printf("%s %d ", got == 0 ? "end" : "error", got < 0 ? errno : 0);
	say("after %ld %ld", (long)total, digest(all, total));
}

static void wait_until_here(int fd, long expected)
{
	int here = 0;
	for (int i = 0; i < WAIT_MS && here < expected; i++) {
		ioctl(fd, FIONREAD, &here);
		poll(NULL, 0, 1);
	}
	say("here %ld", here, 0);
}

static void receive_nothing(int fd, long how)
{
	struct timeval soon = {.tv_usec = SHORT_MS * 1000}, never = {0};
	if (how != 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
	ssize_t got = recv(fd, buffer, 1, how == 0 ? MSG_DONTWAIT : 0);
	say("nothing %ld %ld", got, got < 0 ? errno : 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &never, sizeof never);
}

static void look(int fd, long awaited, long how)
{
	const short all = POLLIN | POLLOUT | POLLRDHUP;
	if (awaited != 0)
		wait_for(fd, (short)awaited);
	if (how == 0) {
		struct pollfd one = {.fd = fd, .events = all};
		poll(&one, 1, 0);
		return say("events %lx", one.revents, 0);
	}
	int set = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET}, found = {0};
	epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
	int first = epoll_wait(set, &found, 1, 0);
	say("epoll %ld %lx", first, found.events);
	close(set);
}

static void options(int fd, long value)
{
	static const int names[][2] = {{SOL_SOCKET, SO_KEEPALIVE}, {IPPROTO_TCP, TCP_NODELAY}, {IPPROTO_TCP, TCP_KEEPIDLE}, {IPPROTO_TCP, TCP_KEEPCNT},
		{SOL_SOCKET, SO_REUSEADDR}, {SOL_SOCKET, SO_TYPE}, {SOL_SOCKET, SO_DOMAIN}, {SOL_SOCKET, SO_ACCEPTCONN}, {SOL_SOCKET, SO_ERROR}};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		int wanted = names[i][1] == TCP_KEEPIDLE || names[i][1] == TCP_KEEPCNT ? 7 + (int)value : (int)value, is = -1;
		socklen_t size = sizeof is;
		int set = setsockopt(fd, names[i][0], names[i][1], &wanted, sizeof wanted) == 0 ? 0 : errno;
		int get = getsockopt(fd, names[i][0], names[i][1], &is, &size) == 0 ? 0 : errno;
		printf("%d %d %d, ", set, get, is);
	}
	putchar('\n');
}

static void names(int fd)
{
	struct sockaddr_in mine = {0}, theirs = {0};
	socklen_t one = sizeof mine, two = sizeof theirs;
	int error = getpeername(fd, (struct sockaddr *)&theirs, &two) == 0 ? 0 : errno;
	getsockname(fd, (struct sockaddr *)&mine, &one);
	printf("peer %d, ", error);
	say("the server's port %ld, mine above 1023 %ld", error == 0 && theirs.sin_port == open_port.sin_port, ntohs(mine.sin_port) > 1023);
}

static void state(int fd)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof info;
	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size);
	say("state %ld", info.tcpi_state, 0);
}

static void end_slot(int *fd, int at_once)
{
	const struct linger none = {.l_onoff = 1};
	if (at_once)
		setsockopt(*fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	say("closed %ld", close(*fd), 0);
	*fd = -1;
}

static void shut(int fd, int how)
{
	int error = shutdown(fd, how) == 0 ? 0 : errno;
	say("shut %ld", error, 0);
}

static void again(int fd)
{
	int error = connect(fd, (struct sockaddr *)&open_port, sizeof open_port) == 0 ? 0 : errno;
	say("connected again %ld", error, 0);
}

static void tell(int fd, int kind, short awaited)
{
	size_t size = message(kind, 0, 0);
	long sent = send(fd, buffer, size, MSG_NOSIGNAL);
	wait_for(fd, awaited);
	say("told %ld", sent, 0);
}

static void carry_out(char operation, int *fd, long a, long b)
{
	switch (operation) {
	case 'c': return connect_slot(fd, a, b);
	case 'C': return refused(a);
	case 'u': return udp();
	case 'w': return send_all(*fd, 'e', a, b);
	case 'q': return send_all(*fd, 'q', a, b);
	case 'v': return send_pieces(*fd, a, b);
	case 's': return send_spliced(*fd, a, b);
	case 'z': return send_all(*fd, 'z', 0, 0);
	case 'r': return receive(*fd, a, MSG_WAITALL);
	case 'p': return receive(*fd, 1, MSG_PEEK);
	case 't': return receive(*fd, a, MSG_WAITALL | MSG_TRUNC);
	case 'e': return receive_to_end(*fd);
	case 'f': return wait_until_here(*fd, a);
	case 'n': return receive_nothing(*fd, a);
	case 'g': return look(*fd, a, b);
	case 'o': return options(*fd, a);
	case 'a': return names(*fd);
	case 'i': return state(*fd);
	case 'd': return again(*fd);
	case 'h': return shut(*fd, (int)a);
	case 'F': return tell(*fd, 'f', POLLRDHUP);
	case 'R': return tell(*fd, 'r', 0);
	case 'k': return end_slot(fd, 0);
	case 'x': return end_slot(fd, 1);
	default: say("no such operation", 0, 0);
	}
}

static void run(const char *path)
{
	char operation;
	int slot;
	long a, b;
	FILE *script = fopen(path, "r");
	if (script == NULL)
		exit(65);
	printf("script\n");
	while (fscanf(script, " %c %d %ld %ld", &operation, &slot, &a, &b) == 4) {
		errno = 0;
		carry_out(operation, &slots[slot % SLOTS], a, b);
		fflush(stdout);
	}
	fclose(script);
}

static void resolve(const char *host, const char *port, struct sockaddr_in *address)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
	if (getaddrinfo(host, port, &hints, &found) != 0)
		exit(66);
	memcpy(address, found->ai_addr, sizeof *address);
	freeaddrinfo(found);
}

int main(int count, char **arguments)
{
	if (count < 4)
		return 64;
	signal(SIGPIPE, SIG_IGN);
	resolve(arguments[1], arguments[2], &open_port);
	resolve(arguments[1], arguments[3], &closed_port);
	for (int i = 4; i < count; i++)
		run(arguments[i]);
	return 0;
}
