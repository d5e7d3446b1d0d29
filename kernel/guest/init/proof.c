#include "proof.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bounds.h"
#include "opens.h"
#include "protocol.h"
#include "rights.h"
#include "system.h"

#define MAX_DEPTH 16

enum verdict { HOLDS = 0, RIGHTS_MISSING = 1, RIGHTS_LEFT = 2, OPEN_ALLOWED = 3, OPEN_STRANGE = 4 };

/* The first regular file under `folder` (closed by this), relative to the image's root, in `path` of which `length` bytes are the folder's own path. */
static bool find_file(int folder, char path[PATH_MAX], size_t length, unsigned depth, unsigned *budget)
{
	DIR *entries = fdopendir(folder);
	if (entries == NULL) {
		close(folder);
		return false;
	}
	bool found = false;
	struct dirent *entry;
	while (!found && *budget > 0 && (entry = readdir(entries)) != NULL) {
		struct stat kind;
		size_t name = strlen(entry->d_name);
		(*budget)--;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || length + name + 2 > PATH_MAX)
			continue;
		if (fstatat(dirfd(entries), entry->d_name, &kind, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		memcpy(path + length, entry->d_name, name + 1);
		if (S_ISREG(kind.st_mode)) {
			found = true;
		} else if (S_ISDIR(kind.st_mode) && depth < MAX_DEPTH) {
			int inner = openat(dirfd(entries), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			path[length + name] = '/';
			found = inner >= 0 && find_file(inner, path, length + name + 1, depth + 1, budget);
		}
	}
	closedir(entries);
	return found;
}

/* In the child. With root's rights first, because a file the agent may not read anyway would prove nothing. */
static enum verdict try_fences(int image, const char *file)
{
	int opened = openat(image, file, O_RDONLY | O_CLOEXEC);
	if (opened >= 0)
		return OPEN_ALLOWED;
	if (errno != EPERM)
		return OPEN_STRANGE;
	if (rights_drop(AUTHORITY_AGENT_UID, AUTHORITY_AGENT_UID) != NULL)
		return RIGHTS_MISSING;
	return rights_check(AUTHORITY_AGENT_UID, AUTHORITY_AGENT_UID) == NULL ? HOLDS : RIGHTS_LEFT;
}

/* Refuses what the child opens until it is done; its status, or -1. */
static int attend(pid_t child)
{
	uint64_t deadline = now_ms() + PROOF_MS;
	int status;
	while (now_ms() < deadline) {
		struct pollfd asked = {.fd = opens_fd(), .events = POLLIN};
		if (poll(&asked, 1, 1) > 0 && !opens_refuse_waiting())
			break;
		if (waitpid(child, &status, WNOHANG) == child)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	return -1;
}

bool proof_run(int image, struct fault *fault)
{
	char path[PATH_MAX];
	unsigned budget = MAX_PROOF_ENTRIES;
	int root = openat(image, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	errno = ENOENT;
	if (root < 0 || !find_file(root, path, 0, 0, &budget))
		return fault_set(fault, "fanotify", "the image holds no file to try the fence on");
	pid_t child = fork();
	if (child == 0)
		_exit((int)try_fences(image, path));
	int verdict = child < 0 ? -1 : attend(child);
	errno = EPERM;
	switch (verdict) {
	case HOLDS:
		return true;
	case RIGHTS_MISSING:
		return fault_set(fault, "rights", "the agent's rights cannot be dropped");
	case RIGHTS_LEFT:
		return fault_set(fault, "rights", "a dropped right still works");
	case OPEN_ALLOWED:
		return fault_set(fault, "fanotify", "a refused open succeeds");
	case OPEN_STRANGE:
		return fault_set(fault, "fanotify", "a refused open fails in another way");
	default:
		errno = ETIMEDOUT;
		return fault_set(fault, "fanotify", "the fences could not be tried");
	}
}
