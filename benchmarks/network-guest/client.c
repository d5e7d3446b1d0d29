#define _GNU_SOURCE
#include "client.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measuring.h"

enum { CONNECTS = 300, ECHOES = 3000, ECHO_BYTES = 64, PARALLEL = 100, STEP = 128 << 10 };
enum { BULK_BYTES = 64 << 20, EACH_BYTES = 512 << 10, HELD = 500, HOLD_S = 3 };

static struct sockaddr_in server;
static const char *peer;

static void no_delay(int fd)
{
	const int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void send_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
		if (sent <= 0)
			fail("send");
		bytes += sent;
		length -= (size_t)sent;
	}
}

static void say_percentiles(const char *name, double *samples, size_t count)
{
	char title[64];
	sort_samples(samples, count);
	snprintf(title, sizeof title, "%s-p50", name);
	say(peer, title, samples[count / 2]);
	snprintf(title, sizeof title, "%s-p99", name);
	say(peer, title, samples[count * 99 / 100]);
}

static int dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof server) != 0)
		fail("connect");
	no_delay(fd);
	return fd;
}

static void measure_connect(void)
{
	static double samples[CONNECTS];
	for (int i = 0; i < CONNECTS; i++) {
		double from = now_us();
		int fd = dial();
		samples[i] = now_us() - from;
		close(fd);
	}
	say_percentiles("connect", samples, CONNECTS);
}

static void measure_echo(void)
{
	static double samples[ECHOES];
	char bytes[ECHO_BYTES] = {0};
	int fd = dial();
	send_all(fd, "E", 1);
	for (int i = 0; i < ECHOES; i++) {
		double from = now_us();
		send_all(fd, bytes, sizeof bytes);
		if (recv(fd, bytes, sizeof bytes, MSG_WAITALL) != sizeof bytes)
			fail("echo");
		samples[i] = now_us() - from;
	}
	close(fd);
	say_percentiles("echo", samples, ECHOES);
}

static int ask_for(uint32_t bytes)
{
	int fd = dial();
	send_all(fd, "D", 1);
	send_all(fd, (const char *)&bytes, sizeof bytes);
	return fd;
}

static void measure_down(char *buffer)
{
	double from = now_us();
	size_t total = 0;
	ssize_t got;
	int fd = ask_for(BULK_BYTES);
	while ((got = recv(fd, buffer, STEP, 0)) > 0)
		total += (size_t)got;
	close(fd);
	if (total != BULK_BYTES)
		fail("down");
	say(peer, "down", BULK_BYTES / (now_us() - from));
}

static void measure_up(char *buffer)
{
	double from = now_us();
	int fd = dial();
	send_all(fd, "U", 1);
	for (size_t sent = 0; sent < BULK_BYTES; sent += STEP)
		send_all(fd, buffer, STEP);
	shutdown(fd, SHUT_WR);
	if (recv(fd, buffer, 1, 0) != 1)
		fail("up");
	close(fd);
	say(peer, "up", BULK_BYTES / (now_us() - from));
}

static void measure_parallel(char *buffer)
{
	struct pollfd connections[PARALLEL];
	size_t total = 0;
	double from = now_us();
	for (int i = 0; i < PARALLEL; i++) {
		connections[i] = (struct pollfd){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), .events = POLLOUT};
		connect(connections[i].fd, (struct sockaddr *)&server, sizeof server);
	}
	for (int open = PARALLEL; open > 0 && poll(connections, PARALLEL, -1) > 0;) {
		for (int i = 0; i < PARALLEL; i++) {
			struct pollfd *each = &connections[i];
			char command[5] = "D";
			if (each->fd < 0 || each->revents == 0)
				continue;
			if (each->events == POLLOUT) {
				memcpy(command + 1, &(uint32_t){EACH_BYTES}, 4);
				send_all(each->fd, command, sizeof command);
				each->events = POLLIN;
				continue;
			}
			ssize_t got = recv(each->fd, buffer, STEP, 0);
			if (got > 0) {
				total += (size_t)got;
				continue;
			}
			close(each->fd);
			each->fd = -1;
			open--;
		}
	}
	if (total != (size_t)PARALLEL * EACH_BYTES)
		fail("parallel");
	say(peer, "parallel", (now_us() - from) / 1e3);
}

static void hold(int count, bool busy)
{
	int held[HELD];
	for (int i = 0; i < count; i++) {
		held[i] = busy ? ask_for(BULK_BYTES) : dial();
		if (!busy)
			send_all(held[i], "E", 1);
	}
	printf("holding %s %d\n", busy ? "busy" : "idle", count);
	fflush(stdout);
	sleep(HOLD_S);
	for (int i = 0; i < count; i++)
		close(held[i]);
}

void measure(void)
{
	static char buffer[STEP];
	signal(SIGPIPE, SIG_IGN);
	measure_connect();
	measure_echo();
	measure_down(buffer);
	measure_up(buffer);
	measure_parallel(buffer);
}

void hold_connections(void)
{
	hold(0, false);
	hold(HELD, false);
	hold(PARALLEL, true);
}

void client_use(const char *who, const char *host, const char *port)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
	if (getaddrinfo(host, port, &hints, &found) != 0)
		fail(host);
	memcpy(&server, found->ai_addr, sizeof server);
	freeaddrinfo(found);
	peer = who;
}
