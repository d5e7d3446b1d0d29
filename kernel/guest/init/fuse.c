#include "fuse.h"

#include <errno.h>
#include <fcntl.h>
/* Never beside <sys/stat.h>: musl 1.2.5 (Debian 13) defines the same structures there. */
#include <linux/stat.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bounds.h"
#include "look_again.h"
#include "mountpoint.h"
#include "system.h"

static struct {
	char path[PATH_MAX];
} mounts[AUTHORITY_MAX_MOUNTS];
static struct look_again_root roots[AUTHORITY_MAX_MOUNTS];
static unsigned mount_count;

/* A device shows a folder. A mounted file is the one name in it, bound where it is wanted; the folder is then nowhere. */
#define MOUNTED_FILE DEVICE_FOLDER "/file"

static bool mount_file(const char *tag, const char *path, unsigned long flags, int *root)
{
	if (mount(tag, DEVICE_FOLDER, "virtiofs", flags, NULL) != 0)
		return false;
	*root = open(DEVICE_FOLDER, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool bound = *root >= 0 && mount(MOUNTED_FILE, path, NULL, MS_BIND, NULL) == 0;
	int error = errno;
	umount2(DEVICE_FOLDER, MNT_DETACH);
	errno = error;
	return bound;
}

static bool mount_folder(const char *tag, const char *path, unsigned long flags, int *root)
{
	if (mount(tag, path, "virtiofs", flags, NULL) != 0)
		return false;
	*root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return *root >= 0;
}

static bool mount_one(const struct host_mount *wanted, struct fault *fault)
{
	char tag[32];
	char *path = mounts[mount_count].path;
	if (!(wanted->file ? mountpoint_prepare_file : mountpoint_prepare)(wanted->path, path, fault, "fuse"))
		return false;
	snprintf(tag, sizeof tag, "mount%u", wanted->number);
	unsigned long flags = MS_NOSUID | MS_NODEV | (wanted->read_only ? MS_RDONLY : 0);
	roots[mount_count].number = wanted->number;
	if (!(wanted->file ? mount_file : mount_folder)(tag, path, flags, &roots[mount_count].folder))
		return errno == ENODEV ? fault_set(fault, "fuse", "the kernel has no virtiofs to mount %.60s with; --kernel takes one with CONFIG_VIRTIO_FS=y", wanted->path)
				       : fault_set(fault, "fuse", "%.100s cannot be mounted", wanted->path);
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
	for (unsigned i = 0; i < setup->mount_count; i++)
		if (!mount_one(&setup->mounts[i], fault))
			return false;
	fuse_read_ahead();
	return look_again_arm(roots, mount_count, fault);
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
