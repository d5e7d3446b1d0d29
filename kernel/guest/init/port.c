#include "port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bounds.h"
#include "system.h"

#define PORT_CLASS "/sys/class/virtio-ports"
#define MAX_PORT_NAME 128

static bool has_name(const char *device, const char *name)
{
	char path[PATH_MAX];
	char text[MAX_PORT_NAME];
	snprintf(path, sizeof path, PORT_CLASS "/%s/name", device);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	if (got <= 0)
		return false;
	text[got] = 0;
	text[strcspn(text, "\n")] = 0;
	return strcmp(text, name) == 0;
}

static int open_by_name(const char *name)
{
	DIR *ports = opendir(PORT_CLASS);
	if (ports == NULL)
		return -1;
	int fd = -1;
	struct dirent *entry;
	errno = ENOENT;
	while (fd < 0 && (entry = readdir(ports)) != NULL) {
		if (entry->d_name[0] == '.' || !has_name(entry->d_name, name))
			continue;
		char path[PATH_MAX];
		snprintf(path, sizeof path, "/dev/%s", entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	int error = errno;
	closedir(ports);
	errno = error;
	return fd;
}

/* Until the host is connected a port reads as ended (POLLHUP); taking that for its end would power off a healthy start. */
static bool connected(int fd)
{
	struct pollfd port = {.fd = fd, .events = POLLOUT};
	return poll(&port, 1, 0) >= 0 && (port.revents & POLLHUP) == 0;
}

int port_open(const char *name)
{
	uint64_t deadline = now_ms() + APPEAR_MS;
	int fd = -1;
	while (now_ms() < deadline) {
		if (fd < 0)
			fd = open_by_name(name);
		if (fd >= 0 && connected(fd))
			return fd;
		sleep_ms(1);
	}
	if (fd >= 0)
		close(fd);
	errno = ETIMEDOUT;
	return -1;
}
