#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bounds.h"
#include "net_accept.h"
#include "net_dns.h"
#include "net_flow.h"
#include "net_link.h"
#include "net_steer.h"
#include "port.h"
#include "protocol.h"
#include "rights.h"
#include "system.h"

/* A user nobody else has. */
#define NET_UID 65532
/* In one turn: a chunk from each program still fits the queue for the port. */
#define MAX_EVENTS 64
#define TICK 1000
/* Part of the guest's memory that may wait for programs that do not read. */
#define MEMORY_SHARE 4
/* Descriptors: one of each connection, and a few. */
#define MAX_DESCRIPTORS 8192
/* Exit statuses, for whoever reads the kernel log. */
enum end { END_RIGHTS = 2, END_EPOLL = 3 };

/* What epoll calls the descriptors that are not connections; those of DNS follow, connections have a generation above 2^32. */
enum tag { TAG_PORT, TAG_SYNS, TAG_LISTENER, TAG_DNS_UDP, TAG_DNS_TCP, TAG_FIRST_DNS = 16 };

static pid_t process;
static struct net_sockets sockets;
/* The port and all that programs do, in one set: a set within a set costs two more wake-ups for each message. */
static int everything;

static void add(int fd, uint64_t tag)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};
	if (epoll_ctl(everything, EPOLL_CTL_ADD, fd, &event) != 0)
		_exit(END_EPOLL);
}

static void take_frame(const struct frame *frame)
{
	if (frame->session == NET_DNS_SESSION)
		net_dns_take(frame);
	else
		net_flows_take(frame);
}

static void session_closed(unsigned session)
{
	if (session == NET_DNS_SESSION)
		net_dns_session_closed();
	else
		net_flows_session_closed(session);
}

static void program_ready(const struct epoll_event *event)
{
	uint64_t tag = event->data.u64;
	if (tag >> 32 != 0)
		net_flows_ready(tag, event->events);
	else if (tag == TAG_SYNS)
		net_flows_asked();
	else if (tag == TAG_LISTENER)
		net_flows_accept();
	else if (tag == TAG_DNS_UDP)
		net_dns_udp();
	else if (tag == TAG_DNS_TCP)
		net_dns_accept();
	else if (tag >= TAG_FIRST_DNS)
		net_dns_ready(tag - TAG_FIRST_DNS, event->events);
}

static void tick(void)
{
	net_flows_tick();
	net_dns_tick();
	net_accept_ask();
}

/* While the port is full no program is listened to: only the port is waited for. */
static int wait_for_some(int port, struct epoll_event *events)
{
	if (!net_link_full())
		return epoll_wait(everything, events, MAX_EVENTS, TICK);
	struct pollfd only = {.fd = port, .events = POLLIN | POLLOUT};
	events[0] = (struct epoll_event){.data.u64 = TAG_PORT};
	if (poll(&only, 1, TICK) <= 0)
		return 0;
	events[0].events = (uint32_t)only.revents;
	return 1;
}

static void loop(int port)
{
	struct epoll_event events[MAX_EVENTS];
	uint64_t next = now_ms() + TICK;
	bool writing = false;
	for (;;) {
		net_link_flush();
		if (writing != net_link_pending()) {
			writing = !writing;
			struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0u), .data.u64 = TAG_PORT};
			epoll_ctl(everything, EPOLL_CTL_MOD, port, &event);
		}
		int ready = wait_for_some(port, events);
		for (int i = 0; i < ready; i++) {
			if (events[i].data.u64 != TAG_PORT)
				program_ready(&events[i]);
			else if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
				net_link_receive(take_frame, session_closed);
		}
		if (now_ms() >= next) {
			tick();
			next = now_ms() + TICK;
		}
	}
}

static _Noreturn void run(int port)
{
	struct sysinfo machine;
	prctl(PR_SET_NAME, "net");
	signal(SIGPIPE, SIG_IGN);
	write_file("/proc/self/oom_score_adj", "-1000");
	const struct rlimit files = {MAX_DESCRIPTORS, MAX_DESCRIPTORS};
	const int kept[] = {port, sockets.syns, sockets.raw, sockets.listener, sockets.parking, sockets.parked, sockets.dns_udp, sockets.dns_tcp};
	close_all_but(kept, sizeof kept / sizeof *kept);
	if (setrlimit(RLIMIT_NOFILE, &files) != 0 || sysinfo(&machine) != 0 || rights_drop(NET_UID, NET_UID) != NULL)
		_exit(END_RIGHTS);
	everything = epoll_create1(EPOLL_CLOEXEC);
	add(port, TAG_PORT);
	add(sockets.syns, TAG_SYNS);
	add(sockets.listener, TAG_LISTENER);
	add(sockets.dns_udp, TAG_DNS_UDP);
	add(sockets.dns_tcp, TAG_DNS_TCP);
	net_link_use(port);
	net_flows_use(&sockets, everything, machine.totalram / MEMORY_SHARE * machine.mem_unit);
	net_dns_use(sockets.dns_udp, sockets.dns_tcp, everything, TAG_FIRST_DNS);
	net_accept_ask();
	loop(port);
	_exit(0);
}

static void close_ours(int port)
{
	const int theirs[] = {port, sockets.syns, sockets.raw, sockets.listener, sockets.parking, sockets.parked, sockets.dns_udp, sockets.dns_tcp};
	for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
		close(theirs[i]);
}

bool net_arm(struct fault *fault)
{
	int port = port_open(AUTHORITY_PORT_NET);
	if (port < 0 || set_nonblocking(port) != 0)
		return fault_set(fault, "net", "the port " AUTHORITY_PORT_NET " did not appear");
	if (!net_steer(&sockets, fault))
		return false;
	process = fork();
	if (process == 0)
		run(port);
	close_ours(port);
	return process > 0 || fault_set(fault, "net", "the process cannot be made");
}

bool net_is_process(pid_t pid)
{
	return pid > 0 && pid == process;
}
