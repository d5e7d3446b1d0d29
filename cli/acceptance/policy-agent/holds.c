/* Holds a connection, a file for writing, one for reading and a folder, and serves a port: says what becomes of each when a line comes on stdin. holds HOST PORT SERVED */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *name_of(int error)
{
	static char number[16];
	switch (error) {
	case EACCES:
		return "EACCES";
	case ECONNRESET:
		return "ECONNRESET";
	case ECONNREFUSED:
		return "ECONNREFUSED";
	case EPIPE:
		return "EPIPE";
	case EHOSTUNREACH:
		return "EHOSTUNREACH";
	}
	snprintf(number, sizeof number, "%d", error);
	return number;
}

static void say(const char *what, long result)
{
	printf("%s %s\n", what, result >= 0 ? "ok" : name_of(errno));
	fflush(stdout);
}

static int dial(const char *host, const char *port)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
	if (getaddrinfo(host, port, &hints, &found) != 0) {
		errno = EHOSTUNREACH;
		return -1;
	}
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int result = connect(fd, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return result == 0 ? fd : -1;
}

/* A connection at once answers with `hello`, then ends. */
static void serve(int port)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	if (bind(fd, (const struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 8) != 0)
		exit(3);
	if (fork() != 0)
		return;
	for (;;) {
		int client = accept(fd, NULL, NULL);
		if (client >= 0 && write(client, "hello", 5) == 5)
			close(client);
	}
}

int main(int count, char **words)
{
	char byte, line[64];
	struct stat facts;
	if (count != 4)
		return 2;
	serve(atoi(words[3]));
	int link = dial(words[1], words[2]);
	say("connect", link);
	int written = open("/work/written", O_WRONLY | O_CREAT, 0644);
	say("open for writing", written);
	int read_from = open("/work/read", O_RDONLY);
	say("open for reading", read_from);
	DIR *folder = opendir("/work");
	say("open a folder", folder == NULL ? -1 : 0);
	say("write", write(written, "x", 1));
	puts("holding");
	fflush(stdout);
	/* Nothing of it is asked about before the far side says so. */
	say("received", recv(link, &byte, 1, 0));
	while (fgets(line, sizeof line, stdin) != NULL) {
		say("write", write(written, "y", 1));
		say("fsync", fsync(written));
		say("read", pread(read_from, &byte, 1, 0));
		say("send", send(link, "z", 1, MSG_NOSIGNAL));
		say("open for writing", open("/work/written", O_WRONLY));
		say("open for reading", open("/work/read", O_RDONLY));
		say("stat", stat("/work/read", &facts));
		say("list", opendir("/work") == NULL ? -1 : 0);
		int again = dial(words[1], words[2]);
		say("connect", again);
		puts("asked");
		fflush(stdout);
	}
	return 0;
}
