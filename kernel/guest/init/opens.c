#include "opens.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"
#include "bounds.h"
#include "system.h"

#define ASKED (FAN_OPEN_PERM | FAN_OPEN_EXEC_PERM)
/* Questions taken from the kernel in one turn. */
#define EVENTS_PER_TURN 32

struct question {
	int fd;
	uint32_t id;
	bool waiting;
	bool exec;
};

static int group = -1;
static struct question questions[MAX_OPEN_QUESTIONS];
static unsigned waiting;
static uint32_t last_id;

bool opens_arm(int image, struct fault *fault)
{
	/* UNLIMITED_QUEUE: an event that does not fit the queue is allowed by the kernel. */
	group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS, O_RDONLY | O_LARGEFILE | O_CLOEXEC);
	if (group < 0)
		return fault_set(fault, "fanotify", "the kernel gives no permission events");
	if (fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, ASKED, image, ".") != 0)
		return fault_set(fault, "fanotify", "the image cannot be watched");
	return true;
}

int opens_fd(void)
{
	return group;
}

bool opens_room(void)
{
	return waiting < MAX_OPEN_QUESTIONS && !control_full();
}

static bool respond(int fd, bool allow)
{
	struct fanotify_response response = {.fd = fd, .response = allow ? FAN_ALLOW : FAN_DENY};
	ssize_t written = write(group, &response, sizeof response);
	int error = errno;
	close(fd);
	/* ENOENT: the thread was killed meanwhile. */
	return written == sizeof response || error == ENOENT;
}

/* The path as the agent sees it: the kernel resolves the link up to the root of the mount the file was opened through. */
static size_t path_of(int fd, char out[PATH_MAX])
{
	char link[32];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t length = readlink(link, out, PATH_MAX - 1);
	size_t root = sizeof IMAGE_ROOT - 1;
	if (length > (ssize_t)root && memcmp(out, IMAGE_ROOT "/", root + 1) == 0) {
		length -= (ssize_t)root;
		memmove(out, out + root, (size_t)length);
	}
	return length < 0 ? 0 : (size_t)length;
}

static void ask(const struct fanotify_event_metadata *event)
{
	char path[PATH_MAX];
	struct stat found = {0};
	size_t length = path_of(event->fd, path);
	if (length == 0 || fstat(event->fd, &found) != 0) {
		respond(event->fd, false);
		return;
	}
	for (unsigned i = 0; i < MAX_OPEN_QUESTIONS; i++) {
		struct question *question = &questions[i];
		if (question->waiting)
			continue;
		*question = (struct question){.fd = event->fd, .id = ++last_id, .waiting = true, .exec = (event->mask & FAN_OPEN_EXEC_PERM) != 0};
		waiting++;
		send_open_question(question->id, event->pid, question->exec, (uint32_t)found.st_nlink, path, length);
		return;
	}
	respond(event->fd, false);
}

/* Reads at most `max` events; -1 when the fence broke: an event without a descriptor could be neither asked about nor answered. */
static int read_events(struct fanotify_event_metadata *events, unsigned max)
{
	ssize_t got = read(group, events, max * sizeof *events);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	int count = (int)((size_t)got / sizeof *events);
	for (int i = 0; i < count; i++)
		if (events[i].vers != FANOTIFY_METADATA_VERSION || events[i].event_len != sizeof *events || events[i].fd < 0) {
			errno = EPROTO;
			return -1;
		}
	return count;
}

bool opens_ask(struct fault *fault)
{
	struct fanotify_event_metadata events[EVENTS_PER_TURN];
	unsigned room = MAX_OPEN_QUESTIONS - waiting;
	int count = read_events(events, room < EVENTS_PER_TURN ? room : EVENTS_PER_TURN);
	for (int i = 0; i < count; i++)
		ask(&events[i]);
	return count >= 0 || fault_set(fault, "fanotify", "permission events cannot be read");
}

bool opens_refuse_waiting(void)
{
	struct fanotify_event_metadata events[EVENTS_PER_TURN];
	int count = read_events(events, EVENTS_PER_TURN);
	bool refused = count >= 0;
	for (int i = 0; i < count; i++)
		refused = respond(events[i].fd, false) && refused;
	return refused;
}

/*
 * An allowed file may be marked so that its next open is not asked about: per inode, so never for one with several names, and only for the kind of
 * open that was asked about.
 */
static void remember(const struct question *question)
{
	struct stat found;
	if (fstat(question->fd, &found) != 0 || found.st_nlink != 1)
		return;
	uint64_t mask = question->exec ? FAN_OPEN_EXEC_PERM : FAN_OPEN_PERM;
	unsigned flags = FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY;
	if (fanotify_mark(group, flags, mask, question->fd, NULL) != 0)
		log_line("an answer cannot be remembered: %s", strerror(errno));
}

bool opens_answer(uint32_t id, bool allow, bool cacheable)
{
	for (unsigned i = 0; i < MAX_OPEN_QUESTIONS; i++) {
		struct question *question = &questions[i];
		if (!question->waiting || question->id != id)
			continue;
		if (allow && cacheable)
			remember(question);
		question->waiting = false;
		waiting--;
		if (!respond(question->fd, allow))
			log_line("an answer was not taken: %s", strerror(errno));
		return true;
	}
	return false;
}
