/*
 * Carries out scripts of file operations below a folder and prints the errno of each (0: done), before it what was read where something was.
 * A line: OPERATION NAME OTHER A B C; what an operation does not use is there all the same. See differential.ts for the operations.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char buffer[1 << 16];

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
	while (fgets(line, sizeof line, script) != NULL) {
		char operation;
		long a, b, c;
		if (sscanf(line, "%c %255s %255s %ld %ld %ld", &operation, one, two, &a, &b, &c) != 6)
			return -1;
		int error = carry_out(operation, one, two, a, b, c);
		printf("%d\n", error);
	}
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
