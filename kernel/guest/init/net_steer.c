#include "net_steer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_flow.h"
#include "net_program.h"
#include "system.h"

/* The first address of 198.18.0.0/15, which never stands for a name: where the two listeners are bound. */
#define OWN_ADDRESS 0xc6120000u
#define LISTENER_PORT 1
#define PARKING_PORT 2
#define DNS_PORT 53
#define BACKLOG 4096
#define DNS_BACKLOG 64
/* Of the SYNs the net process sends on their way again; programs cannot mark theirs. */
#define OWN_MARK 1
/* Bytes of captured SYNs that wait: thousands that come at once are asked about now, not when the kernel repeats them. */
#define SYN_QUEUE_BYTES (4 << 20)

static struct sockaddr_in address_of(uint32_t address, uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(address)}};
}

/* `local 0.0.0.0/0 dev lo src 127.0.0.1`: every address is this machine's. 0 or -1 with errno. */
static int route_everything_here(void)
{
	struct {
		struct nlmsghdr header;
		struct rtmsg route;
		struct rtattr device_head;
		uint32_t device;
		struct rtattr source_head;
		uint32_t source;
	} request = {
		.header = {.nlmsg_len = sizeof request, .nlmsg_type = RTM_NEWROUTE, .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK, .nlmsg_seq = 1},
		.route = {.rtm_family = AF_INET, .rtm_table = RT_TABLE_LOCAL, .rtm_protocol = RTPROT_STATIC, .rtm_scope = RT_SCOPE_HOST, .rtm_type = RTN_LOCAL},
		.device_head = {.rta_len = RTA_LENGTH(4), .rta_type = RTA_OIF},
		.device = if_nametoindex("lo"),
		.source_head = {.rta_len = RTA_LENGTH(4), .rta_type = RTA_PREFSRC},
		.source = htonl(INADDR_LOOPBACK),
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr result;
		uint8_t rest[512];
	} reply = {.result = {.error = -EPROTO}};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	bool answered = fd >= 0 && send(fd, &request, sizeof request, 0) == (ssize_t)sizeof request && recv(fd, &reply, sizeof reply, 0) > 0;
	if (fd >= 0)
		close(fd);
	errno = answered ? -reply.result.error : EIO;
	return errno == 0 ? 0 : -1;
}

static int listener_at(uint16_t port, int backlog)
{
	struct sockaddr_in at = address_of(OWN_ADDRESS, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, backlog) != 0 ? -1 : fd;
}

/* With a backlog of 0 one connection fills the queue (sk_acceptq_is_full): further SYNs are dropped and may be tried again. */
static bool park(struct net_sockets *out)
{
	struct sockaddr_in at = address_of(OWN_ADDRESS, PARKING_PORT);
	out->parking = listener_at(PARKING_PORT, 0);
	out->parked = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return out->parking >= 0 && out->parked >= 0 && connect(out->parked, (struct sockaddr *)&at, sizeof at) == 0;
}

/* Copies of SYNs that ask for a decision: not our own, TCP, first fragment, SYN without ACK, not to 127/8, not to port 53. Classic BPF; offset 0 is the IP header. */
static int capture_syns(void)
{
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_MARK)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_MARK, 13, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 11),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 16),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IN_LOOPBACKNET, 9, 0),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x3fff, 7, 0),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, DNS_PORT, 4, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_IND, 13),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 256),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog filter = {.len = sizeof code / sizeof *code, .filter = code};
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = (int)if_nametoindex("lo")};
	/* Protocol 0 until the filter is on: nothing else is ever received. */
	const int bytes = SYN_QUEUE_BYTES;
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
		return -1;
	return bind(fd, (struct sockaddr *)&at, sizeof at) != 0 ? -1 : fd;
}

static int sender(void)
{
	const int mark = OWN_MARK;
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
	return fd < 0 || setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0 ? -1 : fd;
}

static int dns_socket(int type)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(DNS_PORT)};
	int on = 1;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0)
		return -1;
	if (type == SOCK_STREAM)
		return listen(fd, DNS_BACKLOG) != 0 ? -1 : fd;
	return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) != 0 ? -1 : fd;
}

/* A connection attempt nobody answers ends after 31 s with ETIMEDOUT. No cookies: they would let a handshake finish whose decision was forgotten. */
static bool tune(void)
{
	return write_file("/proc/sys/net/ipv4/tcp_syn_retries", "4") == 0 && (write_file("/proc/sys/net/ipv4/tcp_syncookies", "0") == 0 || errno == ENOENT);
}

bool net_steer(struct net_sockets *out, struct fault *fault)
{
	if (!tune())
		return fault_set(fault, "net", "the kernel's TCP cannot be set");
	if (route_everything_here() != 0)
		return fault_set(fault, "net", "the route of every address to this machine");
	out->listener = listener_at(LISTENER_PORT, BACKLOG);
	if (out->listener < 0 || net_flow_options(out->listener) != 0 || !park(out))
		return fault_set(fault, "net", "the listeners");
	out->verdicts = net_program_attach(out->listener, out->parking, fault);
	if (out->verdicts == NULL)
		return false;
	out->syns = capture_syns();
	out->raw = sender();
	if (out->syns < 0 || out->raw < 0)
		return fault_set(fault, "net", "the packet sockets");
	out->dns_udp = dns_socket(SOCK_DGRAM);
	out->dns_tcp = dns_socket(SOCK_STREAM);
	return (out->dns_udp >= 0 && out->dns_tcp >= 0) || fault_set(fault, "net", "the sockets of DNS");
}
