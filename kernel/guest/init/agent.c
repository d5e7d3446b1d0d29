#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mounts.h"
#include "rights.h"
#include "system.h"

/* A user nobody else has: see agent_kill_rest. */
#define KILLER_UID 65533

/* What the child says over its pipe when it does not become the agent; the pipe closes at execve. */
struct report {
	int error;
	bool executing;
	char stage[64];
};

static pid_t pid;
static int report_pipe = -1;
static struct report report;
static bool reported;

static _Noreturn void give_up(int pipe_end, const char *stage, bool executing)
{
	struct report said = {.error = errno, .executing = executing};
	strncpy(said.stage, stage, sizeof said.stage - 1);
	ssize_t ignored = write(pipe_end, &said, sizeof said);
	(void)ignored;
	_exit(127);
}

static int take_streams(const struct stream_ends *ends)
{
	if (setsid() < 0)
		return -1;
	if (ends->tty && ioctl(ends->in, TIOCSCTTY, 0) != 0)
		return -1;
	return dup2(ends->in, 0) < 0 || dup2(ends->out, 1) < 0 || dup2(ends->error, 2) < 0 ? -1 : 0;
}

static void reset_signals(void)
{
	sigset_t none;
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void become_agent(const struct start *start, const struct stream_ends *ends, int pipe_end)
{
	const struct rlimit files = {1024, 65536};
	if (mounts_enter_image() != 0)
		give_up(pipe_end, "root", false);
	if (take_streams(ends) != 0)
		give_up(pipe_end, "standard streams", false);
	reset_signals();
	setrlimit(RLIMIT_NOFILE, &files);
	setpriority(PRIO_PROCESS, 0, 0);
	const char *failed = rights_drop(start->uid, start->gid);
	if (failed != NULL)
		give_up(pipe_end, failed, false);
	if (chdir(start->folder) != 0)
		give_up(pipe_end, "the working directory cannot be entered", false);
	execve(start->arguments[0], start->arguments, start->environment);
	give_up(pipe_end, "execve", true);
}

/*
 * clone, not vfork or posix_spawn: PID 1 must go on, since the child's execve asks PID 1 by fanotify. A mount namespace of its own carries the moved
 * root. No process namespace: the agent would be its PID 1, where signals without a handler do nothing and orphans are its duty; hidepid and another
 * uid already keep init out of its sight and reach.
 */
bool agent_start(const struct start *start, const struct stream_ends *ends, struct fault *fault)
{
	int pipe_ends[2];
	if (pipe2(pipe_ends, O_CLOEXEC) != 0)
		return fault_set(fault, "agent", "no pipe");
	pid = (pid_t)syscall(SYS_clone, SIGCHLD | CLONE_NEWNS, 0, 0, 0, 0);
	if (pid == 0)
		become_agent(start, ends, pipe_ends[1]);
	close(pipe_ends[1]);
	report_pipe = pipe_ends[0];
	return pid > 0 || fault_set(fault, "agent", "the process cannot be made");
}

pid_t agent_pid(void)
{
	return pid;
}

static void read_report(int argument, short events)
{
	(void)argument;
	(void)events;
	if (report_pipe < 0)
		return;
	reported = read(report_pipe, &report, sizeof report) == sizeof report;
	report.stage[sizeof report.stage - 1] = 0;
	close(report_pipe);
	report_pipe = -1;
}

void agent_poll(struct poll_set *set)
{
	poll_add(set, report_pipe, POLLIN, read_report, 0);
}

void agent_signal(int number)
{
	/* Before its setsid the child has no group of its own yet, and a signal must not get lost. */
	if (pid > 0 && kill(-pid, number) != 0)
		kill(pid, number);
}

/*
 * kill(-1) takes the process table's lock, so nothing can fork away from it. Sent by a process whose effective user is the agent's but whose real and
 * saved ones are nobody's: it may signal the agent's processes, and they may not signal it.
 */
void agent_kill_rest(uid_t uid)
{
	pid_t killer = fork();
	if (killer == 0) {
		if (setresuid(KILLER_UID, uid, KILLER_UID) == 0)
			kill(-1, SIGKILL);
		_exit(0);
	}
	if (killer > 0)
		waitpid(killer, NULL, 0);
}

enum agent_outcome agent_outcome(int *exec_errno, struct fault *fault)
{
	/* The child is gone, so its end is closed and this does not wait. */
	read_report(0, 0);
	pid = 0;
	if (!reported)
		return AGENT_RAN;
	if (report.executing) {
		*exec_errno = report.error;
		return AGENT_NOT_EXECUTED;
	}
	errno = report.error;
	fault_set(fault, "agent", "%s", report.stage);
	return AGENT_BROKEN;
}
