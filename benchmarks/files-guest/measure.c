/*
 * What file operations cost on a folder, from inside a guest: one `NAME NUMBER` line for each. As the agent of a run it measures the folders it is given; as
 * PID 1 of a bare machine, with no Authority in it, it mounts QEMU's own 9p export and measures that, or starts the agent of an image from the bare disk.
 *
 * The folder holds `big` and `small/0` ... `small/999`, which the host made.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measuring.h"

enum { FILES = 1000, SMALL_BYTES = 4096, STEP = 128 << 10, BIG_MIB = 256, AGENT = 1000 };

static char buffer[STEP];

static double samples[FILES];

static void say_median(const char *folder, const char *name)
{
	sort_samples(samples, FILES);
	say(folder, name, samples[FILES / 2]);
}

static void read_small(const char *folder, const char *name)
{
	char path[64];
	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof path, "small/%d", i);
		double from = now_us();
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || read(fd, buffer, sizeof buffer) != SMALL_BYTES)
			fail(path);
		close(fd);
		samples[i] = now_us() - from;
	}
	say_median(folder, name);
}

/* The same file again: nothing but its opening is left to ask for. */
static void read_one(const char *folder, const char *name)
{
	for (int i = 0; i < FILES; i++) {
		double from = now_us();
		int fd = open("small/0", O_RDONLY | O_CLOEXEC);
		if (fd < 0 || pread(fd, buffer, sizeof buffer, 0) != SMALL_BYTES)
			fail("small/0");
		close(fd);
		samples[i] = now_us() - from;
	}
	say_median(folder, name);
}

static void create_small(const char *folder)
{
	char path[64];
	double start = now_us();
	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof path, "made/%d", i);
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0 || write(fd, buffer, 1024) != 1024)
			fail(path);
		close(fd);
	}
	say(folder, "create", (now_us() - start) / FILES);
}

static void look_at_all(const char *folder, const char *name)
{
	double start = now_us();
	DIR *listing = opendir("small");
	struct dirent *entry;
	struct stat found;
	int count = 0;
	while (listing != NULL && (entry = readdir(listing)) != NULL)
		count += fstatat(dirfd(listing), entry->d_name, &found, AT_SYMLINK_NOFOLLOW) == 0;
	if (listing == NULL || count < FILES)
		fail("small");
	closedir(listing);
	say(folder, name, (now_us() - start) / count);
}

static void read_big(const char *folder)
{
	double start = now_us();
	long total = 0;
	ssize_t got;
	int fd = open("big", O_RDONLY | O_CLOEXEC);
	while ((got = read(fd, buffer, sizeof buffer)) > 0)
		total += got;
	close(fd);
	if (total != (long)BIG_MIB << 20)
		fail("big");
	say(folder, "read", BIG_MIB * 1e6 / (now_us() - start));
}

/* Until the host has it: fsync is in the time. */
static void write_big(const char *folder)
{
	double start = now_us();
	int fd = open("written", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	for (int i = 0; i < (BIG_MIB << 20) / STEP; i++)
		if (write(fd, buffer, STEP) != STEP)
			fail("written");
	if (fsync(fd) != 0)
		fail("fsync");
	close(fd);
	say(folder, "write", BIG_MIB * 1e6 / (now_us() - start));
	unlink("written");
}

/* The floor: a folder that is no file server's. It has the files of the other first. */
static void prepare(const char *from, const char *folder)
{
	char source[64], target[64];
	if (chdir(folder) != 0 || mkdir("small", 0755) != 0 || mkdir("made", 0755) != 0)
		fail(folder);
	for (int i = 0; i < FILES; i++) {
		snprintf(source, sizeof source, "%s/small/%d", from, i);
		snprintf(target, sizeof target, "small/%d", i);
		int fd = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0 || write(fd, buffer, SMALL_BYTES) != SMALL_BYTES)
			fail(target);
		close(fd);
	}
}

static void measure_small(const char *folder)
{
	if (chdir(folder) != 0)
		fail(folder);
	look_at_all(folder, "look-cold");
	look_at_all(folder, "look-warm");
	read_small(folder, "open-cold");
	read_small(folder, "open-warm");
	read_one(folder, "open-same");
	create_small(folder);
}

static void measure(const char *folder)
{
	measure_small(folder);
	read_big(folder);
	write_big(folder);
}

/* ---- as PID 1 ---- */

static void become_agent(void)
{
	if (setgroups(0, NULL) != 0 || setresgid(AGENT, AGENT, AGENT) != 0 || setresuid(AGENT, AGENT, AGENT) != 0)
		fail("the agent's uid");
}

static void as_agent(const char *folder)
{
	pid_t child = fork();
	if (child == 0) {
		become_agent();
		measure(folder);
		exit(0);
	}
	waitpid(child, NULL, 0);
}

static void mount_or_fail(const char *source, const char *target, const char *type, unsigned long flags, const char *options)
{
	mkdir(target, 0755);
	if (mount(source, target, type, flags, options) != 0)
		fail(type);
}

/* Each export is a fresh copy of the folder, and each way of caching a mount of its own. */
static void serve_9p(void)
{
	mount_or_fail("none", "/9p-none", "9p", 0, "trans=virtio,version=9p2000.L,msize=512000,cache=none,access=any");
	as_agent("/9p-none");
	mount_or_fail("loose", "/9p-loose", "9p", 0, "trans=virtio,version=9p2000.L,msize=512000,cache=loose,access=any");
	as_agent("/9p-loose");
}

/* The image's own program from its disk, with nothing that asks. */
static void run_bare(void)
{
	mount_or_fail("/dev/vda", "/image", "erofs", MS_RDONLY, "");
	if (chdir("/image") != 0)
		fail("/image");
	mount_or_fail("tmpfs", "tmp", "tmpfs", 0, "mode=1777");
	mount_or_fail("proc", "proc", "proc", 0, "");
	mount_or_fail("dev", "dev", "devtmpfs", 0, "");
	if (mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 || chdir("/app") != 0)
		fail("the image's root");
	pid_t child = fork();
	if (child == 0) {
		char *const line[] = {"/usr/bin/python3", "/app/main.py", NULL};
		char *const environment[] = {"PATH=/usr/bin:/bin", "HOME=/tmp", "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1",
			"PYTHONNOUSERSITE=1", "LANG=C.UTF-8", NULL};
		become_agent();
		execve(line[0], line, environment);
		fail(line[0]);
	}
	waitpid(child, NULL, 0);
}

static void measure_bare(char **arguments)
{
	if (arguments[1] != NULL && strcmp(arguments[1], "9p") == 0)
		serve_9p();
	else
		run_bare();
}

int main(int count, char **arguments)
{
	umask(022);
	if (getpid() == 1)
		be_first_process(measure_bare, arguments);
	for (int i = 1; i < count; i++)
		if (strncmp(arguments[i], "/tmp", 4) == 0)
			prepare(arguments[1], arguments[i]), measure_small(arguments[i]);
		else
			measure(arguments[i]);
	return 0;
}
