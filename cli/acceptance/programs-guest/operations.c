/*
 * Carries out scripts of file operations below a folder and prints the errno of each (0: done), before it what was read where something was.
 * A line: OPERATION NAME OTHER A B C; what an operation does not use is there all the same. See differential.ts for the operations.
 * A file may stay open over other operations, in one of a few slots: it is read, written and cut through its descriptor while its name goes elsewhere.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char buffer[1 << 16];

enum { SLOTS = 4 };
static int slots[SLOTS];

/* Flags of `o` and `e`, by number. */
static const int FLAGS[] = {
	O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_CREAT, O_RDWR | O_APPEND, O_RDWR | O_TRUNC, O_RDONLY | O_NOFOLLOW, O_RDONLY | O_DIRECTORY,
	O_RDONLY | O_DIRECTORY | O_NOFOLLOW, O_WRONLY | O_CREAT | O_EXCL, O_WRONLY | O_CREAT | O_APPEND, O_RDWR | O_CREAT | O_TRUNC,
	O_RDONLY | O_CREAT, O_WRONLY | O_DSYNC, O_RDONLY | O_PATH, O_RDWR | O_NOATIME,
};

static int put(const char *name, int flags, size_t size, int byte)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
	if (fd < 0)
		return errno;
	memset(buffer, byte, size < sizeof buffer ? size : sizeof buffer);
	int error = 0;
	while (size > 0 && error == 0) {
		ssize_t done = write(fd, buffer, size < sizeof buffer ? size : sizeof buffer);
		if (done < 0)
			error = errno;
		else
			size -= (size_t)done;
	}
	close(fd);
	return error;
}

static int with_file(const char *name, int flags, int (*work)(int, long, long, long), long a, long b, long c)
{
	int fd = open(name, flags | O_CLOEXEC);
	if (fd < 0)
		return errno;
	int error = work(fd, a, b, c) != 0 ? errno : 0;
	close(fd);
	return error;
}

static int do_sync(int fd, long a, long b, long c)
{
	(void)a, (void)b, (void)c;
	return fsync(fd);
}

static int do_allocate(int fd, long offset, long length, long mode)
{
	return fallocate(fd, (int)mode, offset, length);
}

static int do_read(int fd, long a, long b, long c)
{
	(void)a, (void)b, (void)c;
	unsigned long sum = 0;
	ssize_t got;
	while ((got = read(fd, buffer, sizeof buffer)) > 0)
		for (ssize_t i = 0; i < got; i++)
			sum = sum * 31 + (unsigned char)buffer[i];
	if (got == 0)
		printf("%lu ", sum % 1000003);
	return got < 0 ? -1 : 0;
}

static int do_map(int fd, long offset, long byte, long c)
{
	(void)c;
	struct stat found;
	if (fstat(fd, &found) != 0)
		return -1;
	if (offset >= found.st_size)
		return 0;
	char *view = mmap(NULL, (size_t)found.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (view == MAP_FAILED)
		return -1;
	view[offset] = (char)byte;
	int done = msync(view, (size_t)found.st_size, MS_SYNC);
	munmap(view, (size_t)found.st_size);
	return done;
}

static int list(const char *name)
{
	DIR *dir = opendir(name);
	if (dir == NULL)
		return errno;
	int count = 0;
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	printf("%d ", count);
	return 0;
}

static int copy(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return errno;
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int error = out < 0 ? errno : 0;
	ssize_t got = 1;
	while (error == 0 && got > 0)
		if ((got = syscall(SYS_copy_file_range, in, NULL, out, NULL, (size_t)1 << 20, 0)) < 0)
			error = errno;
	close(in);
	if (out >= 0)
		close(out);
	return error;
}

/* Kind, permission bits, names, and the size of what is no folder. */
static int look(const char *name)
{
	struct stat found;
	if (lstat(name, &found) != 0)
		return errno;
	printf("%o %lu %ld ", found.st_mode, (unsigned long)found.st_nlink, S_ISDIR(found.st_mode) ? 0 : (long)found.st_size);
	return 0;
}

/* A second name, which must be gone again before the file may be changed through a mount. A mount gives none to a symbolic link. */
static int second_name(const char *one, const char *two)
{
	struct stat found;
	if (lstat(one, &found) == 0 && S_ISLNK(found.st_mode))
		return 0;
	if (link(one, two) != 0)
		return errno;
	int error = look(one);
	if (unlink(two) != 0)
		error = errno;
	return error != 0 ? error : look(one);
}

static int read_link(const char *name)
{
	ssize_t got = readlink(name, buffer, sizeof buffer - 1);
	if (got < 0)
		return errno;
	printf("%.*s ", (int)got, buffer);
	return 0;
}

static int set_times(const char *name, long seconds, long nanoseconds, long follow)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = seconds, .tv_nsec = nanoseconds}};
	struct stat found;
	int flags = follow != 0 ? 0 : AT_SYMLINK_NOFOLLOW;
	if (utimensat(AT_FDCWD, name, times, flags) != 0 || fstatat(AT_FDCWD, name, &found, flags) != 0)
		return errno;
	printf("%ld.%09ld ", (long)found.st_mtim.tv_sec, found.st_mtim.tv_nsec);
	return 0;
}

static struct flock lock_of(long type, long from)
{
	return (struct flock){.l_type = (short)type, .l_whence = SEEK_SET, .l_start = from, .l_len = 100};
}

/* What the second of two openings is told while the first holds a lock: flock, and record locks of an opening. */
static int lock_twice(const char *name, long exclusive, long offset)
{
	int one = open(name, O_RDWR | O_CLOEXEC), two = open(name, O_RDWR | O_CLOEXEC);
	int error = one < 0 || two < 0 ? errno : 0;
	if (error == 0) {
		struct flock first = lock_of(exclusive != 0 ? F_WRLCK : F_RDLCK, 50), second = lock_of(F_RDLCK, offset);
		error = flock(one, exclusive != 0 ? LOCK_EX : LOCK_SH) != 0 ? errno : 0;
		printf("%d ", flock(two, LOCK_SH | LOCK_NB) != 0 ? errno : 0);
		printf("%d ", fcntl(one, F_OFD_SETLK, &first) != 0 ? errno : 0);
		printf("%d ", fcntl(two, F_OFD_SETLK, &second) != 0 ? errno : 0);
	}
	close(one), close(two);
	return error;
}

/* A shared mapping sees what is written through the descriptor, and the other way round. */
static int do_coherent(int fd, long offset, long byte, long c)
{
	(void)c;
	struct stat found;
	char one = (char)byte, back = 0;
	if (fstat(fd, &found) != 0)
		return -1;
	if (offset + 1 >= found.st_size)
		return 0;
	char *view = mmap(NULL, (size_t)found.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (view == MAP_FAILED)
		return -1;
	int done = pwrite(fd, &one, 1, offset) == 1 ? 0 : -1;
	printf("%d ", view[offset]);
	view[offset + 1] = one;
	if (pread(fd, &back, 1, offset + 1) != 1)
		done = -1;
	printf("%d ", back);
	munmap(view, (size_t)found.st_size);
	return done;
}

/* One byte past a hole, and where data and holes then are. */
static int do_hole(int fd, long offset, long c, long d)
{
	(void)c, (void)d;
	if (pwrite(fd, "h", 1, offset) != 1)
		return -1;
	printf("%ld %ld ", (long)lseek(fd, 0, SEEK_DATA), (long)lseek(fd, 0, SEEK_HOLE));
	return 0;
}

static int do_send(int fd, long offset, long length, long c)
{
	(void)c;
	int out = open("sent", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	off_t from = offset;
	ssize_t sent = out < 0 ? -1 : sendfile(out, fd, &from, (size_t)length);
	int error = errno;
	if (sent >= 0)
		printf("%ld ", (long)sent);
	close(out);
	errno = error;
	return sent < 0 ? -1 : 0;
}

static int open_slot(const char *name, long slot, long flags)
{
	if (slots[slot] >= 0)
		close(slots[slot]);
	slots[slot] = open(name, FLAGS[flags] | O_CLOEXEC, 0640);
	return slots[slot] < 0 ? errno : 0;
}

static int try_open(const char *name, long flags)
{
	int fd = open(name, FLAGS[flags] | O_CLOEXEC, 0640);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* Through an open descriptor, whatever became of its name. */
static int use_slot(char operation, long slot, long offset, long size)
{
	int fd = slots[slot];
	struct stat found;
	if (operation == 'W') {
		memset(buffer, 'W', (size_t)size);
		return pwrite(fd, buffer, (size_t)size, offset) < 0 ? errno : 0;
	}
	if (operation == 'R') {
		if (lseek(fd, offset, SEEK_SET) < 0)
			return errno;
		return do_read(fd, 0, 0, 0) != 0 ? errno : 0;
	}
	if (operation == 'S') {
		if (fstat(fd, &found) != 0)
			return errno;
		printf("%lu %ld ", (unsigned long)found.st_nlink, S_ISDIR(found.st_mode) ? 0 : (long)found.st_size);
		return 0;
	}
	return ftruncate(fd, offset) != 0 ? errno : 0;
}

static int failed(int result)
{
	return result == 0 ? 0 : errno;
}

static int carry_out(char operation, const char *one, const char *two, long a, long b, long c)
{
	switch (operation) {
	case 'w': return put(one, O_TRUNC, (size_t)a, (int)b);
	case 'a': return put(one, O_APPEND, (size_t)a, (int)b);
	case 'x': return put(one, O_EXCL, 3, 'x');
	case 't': return failed(truncate(one, a));
	case 'm': return failed(chmod(one, (mode_t)a));
	case 'd': return failed(mkdir(one, 0755));
	case 'r': return failed(rmdir(one));
	case 'u': return failed(unlink(one));
	case 'n': return failed((int)syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, two, a));
	case 'l': return failed(link(one, two));
	case 's': return failed(symlink(one, two));
	case 'y': return with_file(one, O_RDONLY, do_sync, 0, 0, 0);
	case 'f': return with_file(one, O_WRONLY, do_allocate, a, b, c);
	case 'g': return with_file(one, O_RDONLY, do_read, 0, 0, 0);
	case 'p': return with_file(one, O_RDWR, do_map, a, b, 0);
	case 'k': return list(one);
	case 'c': return copy(one, two);
	case 'j': return look(one);
	case 'L': return second_name(one, two);
	case 'v': return read_link(one);
	case 'i': return set_times(one, a, b, c);
	case 'z': return failed(access(one, (int)a));
	case 'q': return lock_twice(one, a, b);
	case 'M': return with_file(one, O_RDWR, do_coherent, a, b, 0);
	case 'h': return with_file(one, O_RDWR, do_hole, a, 0, 0);
	case 'D': return with_file(one, O_RDONLY, do_send, a, b, 0);
	case 'e': return try_open(one, a);
	case 'o': return open_slot(one, a, b);
	case 'W': case 'R': case 'S': case 'T': return use_slot(operation, a, b, c);
	default: return EINVAL;
	}
}

static int run_script(const char *path, const char *folder)
{
	static char line[1024], one[256], two[256];
	FILE *script = fopen(path, "r");
	if (script == NULL || chdir(folder) != 0)
		return -1;
	printf("script\n");
	memset(slots, -1, sizeof slots);
	while (fgets(line, sizeof line, script) != NULL) {
		char operation;
		long a, b, c;
		if (sscanf(line, "%c %255s %255s %ld %ld %ld", &operation, one, two, &a, &b, &c) != 6)
			return -1;
		int error = carry_out(operation, one, two, a, b, c);
		printf("%d\n", error);
	}
	for (int i = 0; i < SLOTS; i++)
		if (slots[i] >= 0)
			close(slots[i]);
	fclose(script);
	return 0;
}

/* SCRIPT FOLDER, any number of times; absolute paths. */
int main(int count, char **arguments)
{
	umask(022);
	for (int i = 1; i + 1 < count; i += 2)
		if (run_script(arguments[i], arguments[i + 1]) != 0)
			return 65;
	return 0;
}
