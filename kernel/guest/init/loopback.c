#include "loopback.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel gives the interface 127.0.0.1/8 by itself; a bind proves that it did. */
static int bind_loopback(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	int result = bind(fd, (struct sockaddr *)&address, sizeof address);
	int error = errno;
	close(fd);
	errno = error;
	return result;
}

int loopback_up(void)
{
	struct ifreq request = {0};
	memcpy(request.ifr_name, "lo", 3);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	int failed = ioctl(fd, SIOCGIFFLAGS, &request) != 0;
	request.ifr_flags |= IFF_UP | IFF_RUNNING;
	failed = failed || ioctl(fd, SIOCSIFFLAGS, &request) != 0;
	int error = errno;
	close(fd);
	errno = error;
	return failed ? -1 : bind_loopback();
}
