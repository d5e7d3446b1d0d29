/*
 * What TCP costs, one `PEER NAME NUMBER` line for each number. `measure serve` is the server on the host; `measure PEER HOST PORT` is the client, on the host or as
 * the agent of a run; as PID 1 of a bare machine it first sets up the network card of QEMU's user-mode network and then is the client, told of the port.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "measuring.h"
#include "server.h"

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

static void measure_card(char **arguments)
{
	set_up_card();
	client_use("slirp", "10.0.2.2", arguments[1]);
	measure();
}

int main(int count, char **arguments)
{
	if (count == 2 && strcmp(arguments[1], "serve") == 0)
		serve();
	if (getpid() == 1)
		be_first_process(measure_card, arguments);
	if (count < 4)
		return 64;
	client_use(arguments[1], arguments[2], arguments[3]);
	if (count == 4)
		measure();
	else
		hold_connections();
	return 0;
}
