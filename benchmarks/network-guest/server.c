#define _GNU_SOURCE
#include "server.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measuring.h"

enum { STEP = 128 << 10, THREAD_STACK = 256 << 10 };

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

_Noreturn void serve(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&at, size) != 0 || listen(fd, 1024) != 0 || getsockname(fd, (struct sockaddr *)&at, &size) != 0)
		fail("listen");
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
	const int on = 1;
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, THREAD_STACK);
	pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
	for (;;) {
		int one = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		pthread_t thread;
		if (one < 0)
			continue;
		setsockopt(one, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		if (pthread_create(&thread, &small, serve_one, (void *)(intptr_t)one) != 0)
			close(one);
	}
}
