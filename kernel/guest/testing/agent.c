/* The agent of the smoke run: tries one thing, named by its first argument, and prints how it went as `what result`. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(const char *what, long result)
{
	printf("%s %s\n", what, result < 0 ? strerror(errno) : "ok");
}

static int hello(void)
{
	char folder[64];
	printf("uid %d gid %d cwd %s\n", (int)getuid(), (int)getgid(), getcwd(folder, sizeof folder));
	fprintf(stderr, "to stderr\n");
	return 7;
}

static int open_files(char **paths)
{
	for (; *paths != NULL; paths++) {
		char text[64];
		int fd = open(*paths, O_RDONLY);
		ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
		text[got > 0 ? got : 0] = 0;
		printf("%s %s\n", *paths, got < 0 ? strerror(errno) : text);
	}
	return 0;
}

static int connect_gate(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/authority/gate.sock"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	return connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? fd : -1;
}

static size_t receive(int fd, unsigned char *bytes, size_t length)
{
	size_t have = 0;
	ssize_t got;
	while (have < length && (got = read(fd, bytes + have, length - have)) > 0)
		have += (size_t)got;
	return have;
}

/* A frame holding one byte string; the harness sends it back. */
static size_t make_frame(unsigned char *bytes, size_t content)
{
	size_t length = content + 9;
	for (int i = 0; i < 4; i++) {
		bytes[i] = (unsigned char)(length >> (24 - 8 * i));
		bytes[9 + i] = (unsigned char)(content >> (24 - 8 * i));
	}
	memset(bytes + 4, 0, 4);
	bytes[8] = 0x5a;
	memset(bytes + 13, 'x', content);
	return content + 13;
}

static int echo(size_t content, int times)
{
	unsigned char *sent = malloc(content + 13), *back = malloc(content + 13);
	size_t length = make_frame(sent, content);
	int fd = connect_gate(), good = 0;
	for (int i = 0; i < times; i++)
		good += write(fd, sent, length) == (ssize_t)length && receive(fd, back, length) == length && memcmp(sent, back, length) == 0;
	printf("echoed %d\n", good);
	return 0;
}

/* One client forges a session, one claims 4 GiB, one never reads: each is closed; a fourth goes on. */
static int bad_clients(void)
{
	static const unsigned char forged[] = {0, 0, 0, 5, 0, 0, 0, 9, 0xf6}, huge[] = {0xff, 0xff, 0xff, 0xff};
	unsigned char byte;
	int first = connect_gate(), second = connect_gate(), deaf = connect_gate(), frames = 0;
	printf("forged %d\n", write(first, forged, sizeof forged) > 0 ? (int)read(first, &byte, 1) : -1);
	printf("huge %d\n", write(second, huge, sizeof huge) > 0 ? (int)read(second, &byte, 1) : -1);
	unsigned char *frame = malloc(500013);
	size_t length = make_frame(frame, 500000);
	for (size_t at = 0; frames < 100; at = 0, frames++) {
		ssize_t wrote = 0;
		while (at < length && (wrote = send(deaf, frame + at, length - at, MSG_NOSIGNAL)) > 0)
			at += (size_t)wrote;
		if (wrote < 0)
			break;
	}
	printf("deaf %s\n", frames < 100 ? "closed" : "served");
	return echo(100, 1);
}

static int refused_calls(void)
{
	tell("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
	tell("userns", unshare(CLONE_NEWUSER));
	tell("clone3", syscall(SYS_clone3, NULL, 0));
	tell("io_uring", syscall(SYS_io_uring_setup, 1, NULL));
	tell("bpf", syscall(SYS_bpf, 0, NULL, 0));
	tell("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
	tell("netlink-route", socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
	tell("netlink-audit", socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT));
	tell("inet", socket(AF_INET, SOCK_STREAM, 0));
	tell("kill-init", kill(1, SIGKILL));
	tell("setuid", setuid(0));
	tell("see-init", access("/proc/1", F_OK));
	tell("sys", access("/sys/kernel", F_OK));
	tell("core_pattern", open("/proc/sys/kernel/core_pattern", O_WRONLY));
	tell("socket-folder", open("/run/authority/x", O_WRONLY | O_CREAT, 0600));
	return 0;
}

static int leave_children(void)
{
	for (int i = 0; i < 3; i++)
		if (fork() == 0) {
			setsid();
			for (;;)
				pause();
		}
	return 3;
}

/* 300 processes with three opens each: more questions than may be unanswered at once. */
static int many_opens(void)
{
	int status, bad = 0;
	for (int i = 0; i < 300; i++)
		if (fork() == 0) {
			for (int k = 0; k < 3; k++)
				if (open("/etc/ok", O_RDONLY) < 0)
					_exit(1);
			_exit(0);
		}
	while (wait(&status) > 0)
		bad += status != 0;
	printf("bad %d\n", bad);
	return 0;
}

static int copy(void)
{
	char bytes[8192];
	ssize_t got;
	while ((got = read(0, bytes, sizeof bytes)) > 0)
		if (write(1, bytes, (size_t)got) != got)
			return 1;
	return 0;
}

/* A child that takes all memory is killed; this process, init lives on. */
static int eat_memory(void)
{
	int status;
	if (fork() == 0)
		for (char *block; (block = malloc(1 << 20)) != NULL;)
			memset(block, 1, 1 << 20);
	wait(&status);
	printf("child ended by %d\n", status & 127);
	return open_files((char *[]){"/etc/ok", NULL});
}

int main(int count, char **arguments)
{
	const char *what = count > 1 ? arguments[1] : "hello";
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (strcmp(what, "open") == 0)
		return open_files(arguments + 2);
	if (strcmp(what, "echo") == 0)
		return echo((size_t)atoi(arguments[2]), atoi(arguments[3]));
	if (strcmp(what, "bad-clients") == 0)
		return bad_clients();
	if (strcmp(what, "refused") == 0)
		return refused_calls();
	if (strcmp(what, "leave") == 0)
		return leave_children();
	if (strcmp(what, "many-opens") == 0)
		return many_opens();
	if (strcmp(what, "copy") == 0)
		return copy();
	if (strcmp(what, "eat-memory") == 0)
		return eat_memory();
	if (strcmp(what, "x32") == 0)
		return (int)syscall(0x40000000 | 39);
	if (strcmp(what, "wait") == 0)
		return (int)sleep(1000);
	return hello();
}
