/*
 * What TCP costs, one `PEER NAME NUMBER` line for each number. `measure serve` is the server on the host; `measure HOST PORT` is the client, on the host or as
 * the agent of a run; as PID 1 of a bare machine it first sets up the network card of QEMU's user-mode network and then is the client, told of the port.
 *
 * A connection begins with a command: E echoes, D sends as many bytes as the number that follows says, U takes bytes to their end and answers with one.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTS = 300, ECHOES = 3000, ECHO_BYTES = 64, PARALLEL = 100, STEP = 128 << 10, THREAD_STACK = 256 << 10 };
enum { BULK_BYTES = 64 << 20, EACH_BYTES = 512 << 10, HELD = 500, HOLD_S = 3 };

static struct sockaddr_in server;
static const char *peer;

static _Noreturn void fail(const char *what)
{
	printf("failed %s: %s\n", what, strerror(errno));
	fflush(stdout);
	exit(1);
}

static double now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

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

static void say(const char *name, double value)
{
	printf("%s %s %.2f\n", peer, name, value);
	fflush(stdout);
}

static int ascending(const void *a, const void *b)
{
	double one = *(const double *)a, two = *(const double *)b;
	return (one > two) - (one < two);
}

static void say_percentiles(const char *name, double *samples, size_t count)
{
	char title[64];
	qsort(samples, count, sizeof *samples, ascending);
	snprintf(title, sizeof title, "%s-p50", name);
	say(title, samples[count / 2]);
	snprintf(title, sizeof title, "%s-p99", name);
	say(title, samples[count * 99 / 100]);
}

/* ---- the server ---- */

static void *serve_one(void *argument)
{
	int fd = (int)(intptr_t)argument;
	char *buffer = calloc(1, STEP);
	ssize_t got = buffer == NULL ? -1 : recv(fd, buffer, 1, 0);
	char command = got == 1 ? buffer[0] : 0;
	uint32_t left = 0;
	if (command == 'E')
		while ((got = recv(fd, buffer, STEP, 0)) > 0)
			got = send(fd, buffer, (size_t)got, MSG_NOSIGNAL);
	if (command == 'D' && recv(fd, &left, sizeof left, MSG_WAITALL) == sizeof left)
		while (left > 0 && (got = send(fd, buffer, left < STEP ? left : STEP, MSG_NOSIGNAL)) > 0)
			left -= (uint32_t)got;
	if (command == 'U') {
		while ((got = recv(fd, buffer, STEP, 0)) > 0)
			;
		send(fd, "!", 1, MSG_NOSIGNAL);
	}
	close(fd);
	free(buffer);
	return NULL;
}

static _Noreturn void serve(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&at, size) != 0 || listen(fd, 1024) != 0 || getsockname(fd, (struct sockaddr *)&at, &size) != 0)
		fail("listen");
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, THREAD_STACK);
	pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
	for (;;) {
		int one = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		pthread_t thread;
		if (one < 0)
			continue;
		no_delay(one);
		if (pthread_create(&thread, &small, serve_one, (void *)(intptr_t)one) != 0)
			close(one);
	}
}

/* ---- the client ---- */

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
	say("down", BULK_BYTES / (now_us() - from));
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
	say("up", BULK_BYTES / (now_us() - from));
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
	say("parallel", (now_us() - from) / 1e3);
}

/* Open connections, for whoever looks at the gate meanwhile. */
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

static void measure(void)
{
	static char buffer[STEP];
	signal(SIGPIPE, SIG_IGN);
	measure_connect();
	measure_echo();
	measure_down(buffer);
	measure_up(buffer);
	measure_parallel(buffer);
}

static void find_server(const char *host, const char *port)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
	if (getaddrinfo(host, port, &hints, &found) != 0)
		fail(host);
	memcpy(&server, found->ai_addr, sizeof server);
	freeaddrinfo(found);
}

/* ---- as PID 1 ---- */

static void load_modules(void)
{
	char name[128], path[160];
	FILE *list = fopen("/modules/list", "r");
	while (list != NULL && fscanf(list, "%127s", name) == 1) {
		snprintf(path, sizeof path, "/modules/%s", name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			syscall(SYS_finit_module, fd, "", 0), close(fd);
	}
	if (list != NULL)
		fclose(list);
}

static void set_address(int fd, unsigned long what, const char *text)
{
	struct ifreq card = {.ifr_name = "eth0"};
	struct sockaddr_in *address = (struct sockaddr_in *)&card.ifr_addr;
	address->sin_family = AF_INET;
	inet_pton(AF_INET, text, &address->sin_addr);
	if (ioctl(fd, what, &card) != 0)
		fail("eth0");
}

/* As QEMU's user-mode network expects its guest; it is the host's loopback behind 10.0.2.2. */
static void set_up_card(void)
{
	struct ifreq card = {.ifr_name = "eth0"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	set_address(fd, SIOCSIFADDR, "10.0.2.15");
	set_address(fd, SIOCSIFNETMASK, "255.255.255.0");
	card.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &card) != 0)
		fail("eth0 up");
	close(fd);
}

static void be_first_process(const char *port)
{
	mkdir("/dev", 0755);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	dup2(open("/dev/ttyS0", O_WRONLY), 1);
	load_modules();
	if (fork() == 0) {
		set_up_card();
		peer = "slirp";
		find_server("10.0.2.2", port);
		measure();
		exit(0);
	}
	wait(NULL);
	reboot(RB_AUTOBOOT);
}

int main(int count, char **arguments)
{
	if (count == 2 && strcmp(arguments[1], "serve") == 0)
		serve();
	if (getpid() == 1)
		be_first_process(arguments[1]);
	if (count < 4)
		return 64;
	peer = arguments[1];
	find_server(arguments[2], arguments[3]);
	if (count == 4)
		measure();
	else
		hold(0, false), hold(HELD, false), hold(PARALLEL, true);
	return 0;
}
