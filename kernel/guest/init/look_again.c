#include "look_again.h"

#include <errno.h>
#include <fcntl.h>
/* Never beside <sys/stat.h>: musl 1.2.5 (Debian 13) defines the same structures there. */
#include <linux/stat.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "system.h"

/* include/linux/exportfs.h, fs/fuse/inode.c: a FUSE node in a file handle. Its generation is 0: the gate never gives out a number twice. */
#define FUSE_HANDLE_TYPE 0x81
struct fuse_handle {
	unsigned int bytes;
	int type;
	uint32_t node_high, node_low, generation;
};
#define FUSE_HANDLE_BYTES 12

static pid_t process;
static int ours = -1;
static bool asked;

bool look_again_parse(struct cbor_reader *in, struct look_again_files *out)
{
	out->count = (uint32_t)cbor_array(in, AUTHORITY_MAX_LOOK_AGAIN);
	for (uint32_t i = 0; i < out->count && !in->bad; i++) {
		in->bad |= cbor_array(in, 3) != 3;
		out->files[i].mount = (uint32_t)cbor_uint(in, UINT32_MAX);
		out->files[i].node = cbor_uint(in, UINT64_MAX);
		out->files[i].attributes = cbor_bool(in);
	}
	return cbor_end(in);
}

/* Of what the kernel does not know (any more) there is nothing to take back. */
static int open_node(uint64_t node)
{
	struct fuse_handle handle = {FUSE_HANDLE_BYTES, FUSE_HANDLE_TYPE, (uint32_t)(node >> 32), (uint32_t)node, 0};
	return (int)syscall(SYS_open_by_handle_at, AT_FDCWD, &handle, O_PATH | O_CLOEXEC);
}

/* O_PATH descriptors do not name a file system to open_by_handle_at; the working directory does. */
static bool enter(const struct look_again_root *roots, size_t count, uint32_t mount)
{
	static uint32_t here;
	for (size_t i = 0; i < count && here != mount; i++)
		if (roots[i].number == mount && fchdir(roots[i].folder) == 0)
			here = mount;
	return here == mount;
}

/* All names first, which asks nobody: programs find what is new by then. */
static void look(const struct look_again_root *roots, size_t count, const struct look_again_files *wanted)
{
	static int opened[AUTHORITY_MAX_LOOK_AGAIN];
	struct statx found;
	for (uint32_t i = 0; i < wanted->count; i++)
		opened[i] = enter(roots, count, wanted->files[i].mount) ? open_node(wanted->files[i].node) : -1;
	for (uint32_t i = 0; i < wanted->count; i++) {
		if (opened[i] < 0)
			continue;
		if (wanted->files[i].attributes)
			syscall(SYS_statx, opened[i], "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &found);
		close(opened[i]);
	}
}

static _Noreturn void run(int link, const struct look_again_root *roots, size_t count)
{
	static struct look_again_files wanted;
	static int kept[AUTHORITY_MAX_MOUNTS + 1];
	for (size_t i = 0; i < count; i++)
		kept[i] = roots[i].folder;
	kept[count] = link;
	prctl(PR_SET_NAME, "look-again");
	write_file("/proc/self/oom_score_adj", "-1000");
	close_all_but(kept, count + 1);
	while (recv(link, &wanted, sizeof wanted, 0) == (ssize_t)sizeof wanted && wanted.count <= AUTHORITY_MAX_LOOK_AGAIN) {
		look(roots, count, &wanted);
		if (send(link, "", 1, MSG_NOSIGNAL) != 1)
			break;
	}
	_exit(0);
}

bool look_again_arm(const struct look_again_root *roots, size_t count, struct fault *fault)
{
	int link[2];
	if (syscall(SYS_open_by_handle_at, -1, NULL, 0) == -1 && errno == ENOSYS)
		return fault_set(fault, "fuse", "the kernel opens no files by handle; --kernel takes one with CONFIG_FHANDLE=y");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) != 0)
		return fault_set(fault, "fuse", "the process that looks at host files again");
	process = fork();
	if (process == 0)
		run(link[1], roots, count);
	close(link[1]);
	for (size_t i = 0; i < count; i++)
		close(roots[i].folder);
	ours = link[0];
	if (process < 0 || set_nonblocking(ours) != 0)
		return fault_set(fault, "fuse", "the process that looks at host files again");
	return true;
}

int look_again_fd(void)
{
	return ours;
}

bool look_again_ask(const struct look_again_files *files)
{
	if (ours < 0 || asked)
		return false;
	/* A process that is gone is told by its end. */
	(void)!send(ours, files, sizeof *files, MSG_NOSIGNAL);
	asked = true;
	return true;
}

bool look_again_done(void)
{
	char answer;
	if (recv(ours, &answer, 1, 0) != 1)
		return false;
	asked = false;
	return true;
}

bool look_again_is_process(pid_t pid)
{
	return process > 0 && pid == process;
}
