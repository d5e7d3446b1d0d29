#include "mountpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bounds.h"
#include "protocol.h"

bool path_is_plain(const char *path)
{
	if (path[0] != '/' || strlen(path) >= AUTHORITY_MAX_PATH_BYTES - sizeof IMAGE_ROOT)
		return false;
	if (path[1] == 0)
		return true;
	for (const char *at = path; *at == '/';) {
		size_t length = strcspn(at + 1, "/");
		bool dots = at[1] == '.' && (length == 1 || (length == 2 && at[2] == '.'));
		if (length == 0 || length > NAME_MAX || dots)
			return false;
		at += 1 + length;
	}
	return true;
}

/* Shows entry `name` of the covered directory `below` (an O_PATH descriptor) again under the same name in `over`. */
static int uncover(int below, const char *name, const char *over)
{
	char source[64 + NAME_MAX + 1];
	char target[PATH_MAX];
	struct stat found;
	snprintf(source, sizeof source, "/proc/self/fd/%d/%s", below, name);
	if (snprintf(target, sizeof target, "%s/%s", over, name) >= (int)sizeof target) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (fstatat(below, name, &found, AT_SYMLINK_NOFOLLOW) != 0)
		return -1;
	if (S_ISLNK(found.st_mode)) {
		char to[PATH_MAX];
		ssize_t length = readlinkat(below, name, to, sizeof to - 1);
		if (length < 0)
			return -1;
		to[length] = 0;
		return symlink(to, target);
	}
	if (S_ISDIR(found.st_mode)) {
		if (mkdir(target, 0755) != 0)
			return -1;
	} else if (mknod(target, S_IFREG | 0444, 0) != 0) {
		return -1;
	}
	return mount(source, target, NULL, MS_BIND | MS_REC, NULL);
}

/* Lays a tmpfs over the directory and shows what was in it. */
static int cover(const char *directory)
{
	char options[64];
	struct stat found;
	int below = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = below < 0 ? NULL : opendir(directory);
	int result = -1;
	if (entries == NULL || fstat(below, &found) != 0)
		goto out;
	snprintf(options, sizeof options, "mode=%o,uid=%u,gid=%u", found.st_mode & 01777u, found.st_uid, found.st_gid);
	if (mount("cover", directory, "tmpfs", MS_NOSUID | MS_NODEV, options) != 0)
		goto out;
	struct dirent *entry;
	unsigned count = 0;
	result = 0;
	while (result == 0 && (errno = 0, entry = readdir(entries)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (++count > MAX_COVERED_ENTRIES) {
			errno = E2BIG;
			result = -1;
		} else {
			result = uncover(below, entry->d_name, directory);
		}
	}
	if (result == 0 && errno != 0)
		result = -1;
out:;
	int error = errno;
	if (entries != NULL)
		closedir(entries);
	if (below >= 0)
		close(below);
	errno = error;
	return result;
}

/* One component more: `full` ends in the name that must be a directory, `parent_length` is the length of the path before it. */
static int ensure_directory(char *full, size_t parent_length)
{
	struct stat found;
	if (lstat(full, &found) == 0) {
		if (S_ISDIR(found.st_mode))
			return 0;
		errno = S_ISLNK(found.st_mode) ? ELOOP : ENOTDIR;
		return -1;
	}
	if (errno != ENOENT)
		return -1;
	if (mkdir(full, 0755) == 0)
		return 0;
	if (errno != EROFS)
		return -1;
	full[parent_length] = 0;
	int covered = cover(full);
	full[parent_length] = '/';
	return covered != 0 ? -1 : mkdir(full, 0755);
}

/* The last component is a file of the image or of scratch, or an empty one that is made. */
static int ensure_file(char *full, size_t parent_length)
{
	struct stat found;
	if (lstat(full, &found) == 0) {
		if (S_ISREG(found.st_mode))
			return 0;
		errno = S_ISLNK(found.st_mode) ? ELOOP : S_ISDIR(found.st_mode) ? EISDIR : EINVAL;
		return -1;
	}
	if (errno != ENOENT)
		return -1;
	if (mknod(full, S_IFREG | 0444, 0) == 0)
		return 0;
	if (errno != EROFS)
		return -1;
	full[parent_length] = 0;
	int covered = cover(full);
	full[parent_length] = '/';
	return covered != 0 ? -1 : mknod(full, S_IFREG | 0444, 0);
}

static bool prepare(const char *path, char out[PATH_MAX], int (*ensure_last)(char *, size_t), struct fault *fault, const char *stage)
{
	if (!path_is_plain(path) || path[1] == 0) {
		errno = EINVAL;
		return fault_set(fault, stage, "%.100s is not a path to mount on", path);
	}
	size_t length = sizeof IMAGE_ROOT - 1;
	memcpy(out, IMAGE_ROOT, length + 1);
	for (const char *at = path; *at == '/';) {
		size_t parent_length = length;
		size_t component = 1 + strcspn(at + 1, "/");
		memcpy(out + length, at, component);
		length += component;
		out[length] = 0;
		at += component;
		if ((*at == '/' ? ensure_directory : ensure_last)(out, parent_length) != 0)
			return fault_set(fault, stage, "%.100s cannot be a mount point: %.50s", path, out + sizeof IMAGE_ROOT - 1);
	}
	return true;
}

bool mountpoint_prepare(const char *path, char out[PATH_MAX], struct fault *fault, const char *stage)
{
	return prepare(path, out, ensure_directory, fault, stage);
}

bool mountpoint_prepare_file(const char *path, char out[PATH_MAX], struct fault *fault, const char *stage)
{
	return prepare(path, out, ensure_file, fault, stage);
}
