#include "rights.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "seccomp.h"

#define ALL_SECUREBITS                                                                                                                                 \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |               \
	 SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

/* Until the kernel says EINVAL: it may know more capabilities than our header. */
static int drop_bounding_set(void)
{
	for (unsigned long capability = 0;; capability++)
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
			return errno == EINVAL && capability > CAP_LAST_CAP / 2 ? 0 : -1;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
	struct __user_cap_data_struct none[2] = {{0}};
	return (int)syscall(SYS_capset, &header, none);
}

const char *rights_drop(uid_t uid, gid_t gid)
{
	struct rlimit no_core = {0, 0};
	if (uid == 0 || gid == 0) {
		errno = EINVAL;
		return "the agent must not be root";
	}
	if (setrlimit(RLIMIT_CORE, &no_core) != 0)
		return "core limit";
	if (drop_bounding_set() != 0)
		return "bounding set";
	if (prctl(PR_SET_SECUREBITS, ALL_SECUREBITS, 0, 0, 0) != 0)
		return "secure bits";
	if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
		return "user and group";
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 || drop_capabilities() != 0)
		return "capabilities";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return "no_new_privs";
	return seccomp_install() != 0 ? "system call filter" : NULL;
}

static bool has_no_capability(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
	struct __user_cap_data_struct sets[2] = {{0}};
	if (syscall(SYS_capget, &header, sets) != 0)
		return false;
	for (int i = 0; i < 2; i++)
		if (sets[i].effective != 0 || sets[i].permitted != 0 || sets[i].inheritable != 0)
			return false;
	for (unsigned long capability = 0; capability <= CAP_LAST_CAP; capability++)
		if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) > 0)
			return false;
	return true;
}

static bool refused(long result, int error)
{
	return result == -1 && errno == error;
}

const char *rights_check(uid_t uid, gid_t gid)
{
	uid_t users[3];
	gid_t groups[3];
	if (getresuid(&users[0], &users[1], &users[2]) != 0 || getresgid(&groups[0], &groups[1], &groups[2]) != 0 || getgroups(0, NULL) != 0)
		return "user and group cannot be read";
	for (int i = 0; i < 3; i++)
		if (users[i] != uid || groups[i] != gid)
			return "another user or group";
	if (!has_no_capability())
		return "a capability is left";
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != SECCOMP_MODE_FILTER)
		return "no filter, or new privileges are possible";
	if (!refused(syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL), EPERM) || !refused(syscall(SYS_open_by_handle_at, -1, NULL, 0), EPERM) ||
	    !refused(syscall(SYS_io_uring_setup, 1, NULL), EPERM) || !refused(syscall(SYS_bpf, 0, NULL, 0), EPERM))
		return "a refused system call is allowed";
	if (!refused(syscall(SYS_clone3, NULL, 0), ENOSYS) || !refused(syscall(SYS_unshare, CLONE_NEWUSER), EPERM))
		return "namespaces are possible";
	if (!refused(socket(AF_VSOCK, SOCK_STREAM, 0), EAFNOSUPPORT))
		return "another socket family is possible";
	return NULL;
}
