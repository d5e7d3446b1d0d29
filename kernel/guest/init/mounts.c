#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "bounds.h"
#include "mountpoint.h"
#include "protocol.h"
#include "system.h"

int mounts_for_init(void)
{
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mkdir(IMAGE_ROOT, 0755);
	mkdir(DEVICE_FOLDER, 0700);
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
		return -1;
	if (mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
		return -1;
	/* A kernel with DEVTMPFS_MOUNT may have done it already. */
	return mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, NULL) == 0 || errno == EBUSY ? 0 : -1;
}

bool mounts_image(int *image, struct fault *fault)
{
	uint64_t deadline = now_ms() + APPEAR_MS;
	while (access(IMAGE_DEVICE, F_OK) != 0) {
		if (now_ms() > deadline)
			return fault_set(fault, "root", "the disk " IMAGE_DEVICE " did not appear");
		sleep_ms(1);
	}
	if (mount(IMAGE_DEVICE, IMAGE_ROOT, "erofs", MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) != 0)
		return fault_set(fault, "root", "the image cannot be mounted");
	*image = open(IMAGE_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *image >= 0 || fault_set(fault, "root", "the image's root cannot be opened");
}

static int make_devices(void)
{
	static const struct {
		const char *path;
		unsigned major, minor;
	} devices[] = {
		{IMAGE_ROOT "/dev/null", 1, 3},	  {IMAGE_ROOT "/dev/zero", 1, 5},    {IMAGE_ROOT "/dev/full", 1, 7},
		{IMAGE_ROOT "/dev/random", 1, 8}, {IMAGE_ROOT "/dev/urandom", 1, 9}, {IMAGE_ROOT "/dev/tty", 5, 0},
	};
	for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
		if (mknod(devices[i].path, S_IFCHR, makedev(devices[i].major, devices[i].minor)) != 0 || chmod(devices[i].path, 0666) != 0)
			return -1;
	static const struct {
		const char *to, *path;
	} links[] = {
		{"/proc/self/fd", IMAGE_ROOT "/dev/fd"},       {"/proc/self/fd/0", IMAGE_ROOT "/dev/stdin"}, {"/proc/self/fd/1", IMAGE_ROOT "/dev/stdout"},
		{"/proc/self/fd/2", IMAGE_ROOT "/dev/stderr"}, {"pts/ptmx", IMAGE_ROOT "/dev/ptmx"},
	};
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		if (symlink(links[i].to, links[i].path) != 0)
			return -1;
	return mkdir(IMAGE_ROOT "/dev/pts", 0755) != 0 || mkdir(IMAGE_ROOT "/dev/shm", 0755) != 0 ? -1 : 0;
}

static bool mount_at(const char *type, const char *path, unsigned long flags, const char *options, struct fault *fault)
{
	char target[PATH_MAX];
	if (!mountpoint_prepare(path, target, fault, "root"))
		return false;
	return mount(type, target, type, flags, options) == 0 || fault_set(fault, "root", "%s cannot be mounted", path);
}

bool mounts_system(struct fault *fault)
{
	if (!mount_at("tmpfs", "/dev", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k", fault))
		return false;
	if (make_devices() != 0)
		return fault_set(fault, "root", "/dev cannot be filled");
	/* hidepid=invisible: neither PID 1 nor the net process exists for the agent's uid. /sys is not given at all. */
	return mount_at("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620", fault) &&
	       mount_at("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777", fault) &&
	       mount_at("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=invisible", fault) &&
	       mount_at("tmpfs", "/run", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=1m", fault);
}

bool mounts_scratch(const struct setup *setup, struct fault *fault)
{
	for (unsigned i = 0; i < setup->scratch_count; i++) {
		const struct scratch *scratch = &setup->scratch[i];
		char target[PATH_MAX];
		char options[96];
		if (!mountpoint_prepare(scratch->path, target, fault, "scratch"))
			return false;
		snprintf(options, sizeof options, "mode=%o,uid=%d,gid=%d,size=%llu", scratch->mode, AUTHORITY_AGENT_UID, AUTHORITY_AGENT_UID,
			 (unsigned long long)scratch->bytes);
		if (mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, options) != 0)
			return fault_set(fault, "scratch", "%.100s cannot be mounted", scratch->path);
	}
	return true;
}

/* pivot_root refuses the initial ramdisk, so the image is moved over it; afterwards nothing of init's tree is reachable by name. */
int mounts_enter_image(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return -1;
	if (chdir(IMAGE_ROOT) != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0)
		return -1;
	return chroot(".") != 0 || chdir("/") != 0 ? -1 : 0;
}
