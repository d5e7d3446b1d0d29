#include "fuse.h"

#include <errno.h>
#include <fcntl.h>
/* Never beside <sys/stat.h>: musl 1.2.5 (Debian 13) defines the same structures there. */
#include <linux/stat.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cbor.h"
#include "frame.h"
#include "bounds.h"
#include "mountpoint.h"
#include "port.h"
#include "system.h"

/* One FUSE request: a write of the largest size behind its headers (40 + 40 bytes, rounded up). */
#define MESSAGE_BYTES (AUTHORITY_MAX_FUSE_DATA_BYTES + 4096)
/* Link header and the head of the byte string, written in front of the message. */
#define PREFIX_BYTES (AUTHORITY_LINK_HEADER_BYTES + 9)

static struct {
	int fd;
	uint32_t number;
	char path[PATH_MAX];
} mounts[AUTHORITY_MAX_MOUNTS];
static unsigned mount_count;
static pid_t pumps[2];

static bool write_all(int fd, const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		ssize_t written = write(fd, bytes, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		bytes += written;
		length -= (size_t)written;
	}
	return true;
}

/* One request of mount `i` to the gate. A request the process took back (ENOENT), or an interrupted read, is none. */
static bool forward_request(unsigned i, int port)
{
	static uint8_t buffer[PREFIX_BYTES + MESSAGE_BYTES];
	uint8_t *message = buffer + PREFIX_BYTES;
	ssize_t got = read(mounts[i].fd, message, MESSAGE_BYTES);
	if (got < 0)
		return errno == ENOENT || errno == EINTR || errno == EAGAIN;
	uint8_t head[9];
	struct cbor_writer item = cbor_write(head, sizeof head);
	cbor_put_bytes_head(&item, (size_t)got);
	uint8_t *start = message - item.length - AUTHORITY_LINK_HEADER_BYTES;
	frame_put_header(start, mounts[i].number, item.length + (size_t)got);
	memcpy(start + AUTHORITY_LINK_HEADER_BYTES, head, item.length);
	return write_all(port, start, AUTHORITY_LINK_HEADER_BYTES + item.length + (size_t)got);
}

static _Noreturn void pump_requests(int port)
{
	struct pollfd ready[AUTHORITY_MAX_MOUNTS];
	for (;;) {
		for (unsigned i = 0; i < mount_count; i++)
			ready[i] = (struct pollfd){.fd = mounts[i].fd, .events = POLLIN};
		if (poll(ready, mount_count, -1) < 0 && errno != EINTR)
			_exit(1);
		for (unsigned i = 0; i < mount_count; i++)
			if (ready[i].revents != 0 && !forward_request(i, port))
				_exit(2);
	}
}

/* A reply to a request that was taken back is refused by the kernel with ENOENT, a malformed one with EINVAL: neither concerns the others. */
static bool deliver_reply(const struct frame *frame)
{
	struct cbor_reader in = cbor_read(frame->item, frame->item_length);
	struct span message = cbor_bytes(&in, AUTHORITY_MAX_FRAME_BYTES);
	if (!cbor_end(&in))
		return false;
	for (unsigned i = 0; i < mount_count; i++)
		if (mounts[i].number == frame->session) {
			ssize_t written = write(mounts[i].fd, message.bytes, message.length);
			return written >= 0 || errno != ENODEV;
		}
	return false;
}

static _Noreturn void pump_replies(int port)
{
	static uint8_t buffer[2 * (AUTHORITY_MAX_FRAME_BYTES + AUTHORITY_LINK_HEADER_BYTES)];
	size_t have = 0;
	for (;;) {
		ssize_t got = read(port, buffer + have, sizeof buffer - have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			_exit(3);
		have += (size_t)got;
		size_t used = 0;
		struct frame frame;
		enum frame_state state;
		while ((state = frame_parse(buffer + used, have - used, &frame)) == FRAME_WHOLE) {
			if (!deliver_reply(&frame))
				_exit(4);
			used += frame.length;
		}
		if (state == FRAME_BAD)
			_exit(5);
		have -= used;
		if (used > 0)
			memmove(buffer, buffer + used, have);
	}
}

/* A pump must survive an agent that eats all memory, or PID 1 would wait for it in vain. */
static pid_t start_pump(const char *name, void (*run)(int), int port)
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	prctl(PR_SET_NAME, name);
	signal(SIGPIPE, SIG_IGN);
	write_file("/proc/self/oom_score_adj", "-1000");
	run(port);
	_exit(0);
}

static bool mount_one(const struct host_mount *wanted, struct fault *fault)
{
	char options[128];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fault_set(fault, "fuse", "/dev/fuse cannot be opened");
	if (!(wanted->file ? mountpoint_prepare_file : mountpoint_prepare)(wanted->path, mounts[mount_count].path, fault, "fuse"))
		return false;
	snprintf(options, sizeof options, "fd=%d,rootmode=%o,user_id=0,group_id=0,allow_other,default_permissions", fd,
		 wanted->file ? S_IFREG : S_IFDIR);
	unsigned long flags = MS_NOSUID | MS_NODEV | (wanted->read_only ? MS_RDONLY : 0);
	if (mount("authority", mounts[mount_count].path, "fuse", flags, options) != 0)
		return fault_set(fault, "fuse", "%.100s cannot be mounted", wanted->path);
	mounts[mount_count].fd = fd;
	mounts[mount_count].number = wanted->number;
	mount_count++;
	return true;
}

/* Preparing a mount point inside a host mount would ask the gate while PID 1 waits: refused, so that order never matters. */
static bool lies_in(const char *path, const char *mount_path)
{
	size_t length = strlen(mount_path);
	return strncmp(path, mount_path, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static bool nested(const struct setup *setup, struct fault *fault)
{
	errno = EINVAL;
	for (unsigned i = 0; i < setup->mount_count; i++) {
		const char *outer = setup->mounts[i].path;
		for (unsigned k = 0; k < setup->mount_count; k++)
			if (i != k && (lies_in(setup->mounts[k].path, outer) || setup->mounts[i].number == setup->mounts[k].number))
				return !fault_set(fault, "fuse", "%.80s lies in the host mount %.80s", setup->mounts[k].path, outer);
		for (unsigned k = 0; k < setup->scratch_count; k++)
			if (lies_in(setup->scratch[k].path, outer))
				return !fault_set(fault, "fuse", "%.80s lies in the host mount %.80s", setup->scratch[k].path, outer);
	}
	return false;
}

bool fuse_mount(const struct setup *setup, struct fault *fault)
{
	if (nested(setup, fault))
		return false;
	if (setup->mount_count == 0)
		return true;
	int port = port_open(AUTHORITY_PORT_FUSE);
	if (port < 0)
		return fault_set(fault, "fuse", "the port " AUTHORITY_PORT_FUSE " did not appear");
	for (unsigned i = 0; i < setup->mount_count; i++)
		if (!mount_one(&setup->mounts[i], fault))
			return false;
	pumps[0] = start_pump("fuse-requests", pump_requests, port);
	pumps[1] = start_pump("fuse-replies", pump_replies, port);
	if (pumps[0] < 0 || pumps[1] < 0)
		return fault_set(fault, "fuse", "a pump cannot be started");
	close(port);
	/* Only the pumps keep the file systems connected: when they end, whoever waits gets an error instead of waiting for ever. */
	for (unsigned i = 0; i < mount_count; i++)
		close(mounts[i].fd);
	fuse_read_ahead();
	return true;
}

bool fuse_is_pump(pid_t pid)
{
	return pid > 0 && (pid == pumps[0] || pid == pumps[1]);
}

void fuse_read_ahead(void)
{
	for (unsigned i = 0; i < mount_count; i++) {
		struct statx found;
		char path[96];
		/* AT_STATX_DONT_SYNC: a plain stat would ask the gate, and PID 1 must never wait for it. */
		if (syscall(SYS_statx, AT_FDCWD, mounts[i].path, AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW, 0, &found) != 0)
			continue;
		snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/read_ahead_kb", found.stx_dev_major, found.stx_dev_minor);
		if (write_file(path, FUSE_READ_AHEAD_KIB) != 0)
			log_line("%s: %s", path, strerror(errno));
	}
}
