/*
 * PID 1 of the guest. It arms the fences the gate asks for, starts one agent behind them, moves bytes between it and the gate, and powers off. It
 * decides nothing: no policy, no keys, no parsing beyond frames and the few control messages.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "arm.h"
#include "cbor.h"
#include "control.h"
#include "fuse.h"
#include "bounds.h"
#include "look_again.h"
#include "modules.h"
#include "mounts.h"
#include "net.h"
#include "opens.h"
#include "poll_set.h"
#include "power.h"
#include "sessions.h"
#include "setup.h"
#include "start.h"
#include "streams.h"
#include "system.h"

enum phase { WAIT_SETUP, WAIT_START, RUNNING, DRAINING, LEAVING };

static enum phase phase = WAIT_SETUP;
static int children = -1;
static uint64_t gate_heard, next_tick, agent_gone, leave_at;
static uid_t agent_uid;
static struct {
	uint32_t kind, value;
	uint64_t cpu_us, max_rss_kib;
} ending;

/* Says what went wrong and waits, bounded, for the gate to have read it. */
static void fault(const char *stage, int error, const char *detail)
{
	if (phase == LEAVING)
		return;
	send_fault(stage, error, detail);
	phase = LEAVING;
	leave_at = now_ms() + LEAVE_MS;
}

static void take_setup(const struct frame *frame)
{
	static struct setup setup;
	struct fault why = {0};
	if (phase != WAIT_SETUP || !setup_parse(frame, &setup)) {
		fault("setup", EPROTO, "no SETUP of this version");
		return;
	}
	if (!arm(&setup, &why)) {
		fault(why.stage, why.error, why.detail);
		return;
	}
	phase = WAIT_START;
}

static void take_start(const struct frame *frame)
{
	static struct start start;
	struct stream_ends ends;
	struct fault why = {0};
	if (phase != WAIT_START || !start_parse(frame, &start)) {
		fault("start", EPROTO, "no START, or not now");
		return;
	}
	agent_uid = start.uid;
	fuse_read_ahead();
	if (streams_open(&start, &ends) != 0) {
		fault("streams", errno, "the standard streams cannot be made");
		return;
	}
	bool started = agent_start(&start, &ends, &why);
	streams_close_ends(&ends);
	if (!started) {
		fault(why.stage, why.error, why.detail);
		return;
	}
	send_started(agent_pid());
	phase = RUNNING;
	next_tick = now_ms() + TICK_MS;
}

/* Reads the fields after the type and does what the message says; false when it is malformed or against the protocol. */
static bool take_small(uint64_t type, size_t fields, struct cbor_reader *in)
{
	uint64_t a = 0, b = 0;
	struct span bytes;
	switch (type) {
	case AUTHORITY_GATE_STDIN:
		bytes = cbor_bytes(in, AUTHORITY_MAX_STDIO_BYTES);
		return fields == 1 && cbor_end(in) && streams_stdin(bytes.bytes, bytes.length);
	case AUTHORITY_GATE_STDIN_END:
		streams_stdin_end();
		return fields == 0 && cbor_end(in);
	case AUTHORITY_GATE_STDOUT_CREDIT:
		a = cbor_uint(in, 2);
		b = cbor_uint(in, UINT32_MAX);
		return fields == 2 && cbor_end(in) && streams_credit((int)a, b);
	case AUTHORITY_GATE_OPEN_ANSWER: {
		a = cbor_uint(in, UINT32_MAX);
		bool allow = cbor_bool(in);
		bool cacheable = cbor_bool(in);
		return fields == 3 && cbor_end(in) && opens_answer((uint32_t)a, allow, cacheable);
	}
	case AUTHORITY_GATE_SIGNAL:
		a = cbor_uint(in, 64);
		if (fields == 1 && cbor_end(in))
			agent_signal((int)a);
		return fields == 1 && cbor_end(in);
	case AUTHORITY_GATE_WINDOW:
		a = cbor_uint(in, UINT16_MAX);
		b = cbor_uint(in, UINT16_MAX);
		streams_window((uint16_t)a, (uint16_t)b);
		return fields == 2 && cbor_end(in);
	case AUTHORITY_GATE_PING:
		a = cbor_uint(in, UINT32_MAX);
		send_pong((uint32_t)a);
		return fields == 1 && cbor_end(in);
	case AUTHORITY_GATE_WHO:
		a = cbor_uint(in, UINT32_MAX);
		if (fields == 1 && cbor_end(in))
			send_program((uint32_t)a);
		return fields == 1 && cbor_end(in);
	case AUTHORITY_GATE_SIGNALLED:
		a = cbor_uint(in, UINT32_MAX);
		if (fields == 1 && cbor_end(in))
			send_signal_waits((uint32_t)a);
		return fields == 1 && cbor_end(in);
	case AUTHORITY_GATE_LOOK_AGAIN: {
		static struct look_again_files files;
		return fields == 1 && look_again_parse(in, &files) && look_again_ask(&files);
	}
	case AUTHORITY_GATE_POWER_OFF:
		power_off();
	default:
		return false;
	}
}

static void take_message(const struct frame *frame)
{
	struct cbor_reader in = cbor_read(frame->item, frame->item_length);
	size_t elements = cbor_array(&in, AUTHORITY_MAX_CBOR_ARRAY);
	uint64_t type = cbor_uint(&in, UINT32_MAX);
	gate_heard = now_ms();
	if (in.bad || elements == 0)
		fault("control", EPROTO, "a malformed message");
	else if (type == AUTHORITY_GATE_SETUP)
		take_setup(frame);
	else if (type == AUTHORITY_GATE_START)
		take_start(frame);
	else if (!take_small(type, elements - 1, &in))
		fault("control", EPROTO, "a malformed or unexpected message");
}

static void control_ready(int argument, short events)
{
	struct frame frame;
	(void)argument;
	if ((events & POLLOUT) != 0 && !control_flush())
		power_off();
	if ((events & (POLLIN | POLLHUP | POLLERR)) == 0)
		return;
	enum control_state state = control_receive();
	if (state == CONTROL_GONE)
		power_off();
	while ((state = control_next(&frame)) == CONTROL_MESSAGE) {
		take_message(&frame);
		control_done(&frame);
	}
	if (state == CONTROL_BAD)
		fault("control", EPROTO, "a malformed frame");
}

static void questions_ready(int argument, short events)
{
	struct fault why = {0};
	(void)argument;
	(void)events;
	if (!opens_ask(&why))
		fault(why.stage, why.error, why.detail);
}

static void looked_again(int argument, short events)
{
	(void)argument;
	(void)events;
	if (look_again_done())
		send_looked_again();
}

static void agent_ended(int status, const struct rusage *used)
{
	struct fault why = {0};
	int exec_errno = 0;
	agent_kill_rest(agent_uid);
	switch (agent_outcome(&exec_errno, &why)) {
	case AGENT_BROKEN:
		fault(why.stage, why.error, why.detail);
		return;
	case AGENT_NOT_EXECUTED:
		ending.kind = AUTHORITY_EXIT_KIND_EXEC_FAILED;
		ending.value = (uint32_t)exec_errno;
		break;
	case AGENT_RAN:
		ending.kind = WIFSIGNALED(status) ? AUTHORITY_EXIT_KIND_SIGNAL : AUTHORITY_EXIT_KIND_EXIT;
		ending.value = (uint32_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		break;
	}
	ending.cpu_us = (uint64_t)(used->ru_utime.tv_sec + used->ru_stime.tv_sec) * 1000000 + (uint64_t)(used->ru_utime.tv_usec + used->ru_stime.tv_usec);
	ending.max_rss_kib = (uint64_t)used->ru_maxrss;
	agent_gone = now_ms();
	if (phase == RUNNING)
		phase = DRAINING;
}

static void children_ready(int argument, short events)
{
	struct signalfd_siginfo signals;
	struct rusage used;
	int status;
	pid_t pid;
	(void)argument;
	(void)events;
	while (read(children, &signals, sizeof signals) > 0)
		;
	while ((pid = wait4(-1, &status, WNOHANG, &used)) > 0) {
		if (pid == agent_pid())
			agent_ended(status, &used);
		else if (net_is_process(pid))
			fault("net", WIFEXITED(status) ? WEXITSTATUS(status) : 0, "the process that carries connections ended");
		else if (look_again_is_process(pid))
			fault("fuse", WIFEXITED(status) ? WEXITSTATUS(status) : 0, "the process that looks at host files again ended");
	}
}

static void watch_time(void)
{
	uint64_t now = now_ms();
	if (now > gate_heard + AUTHORITY_GATE_SILENCE_MS || (phase == LEAVING && now > leave_at))
		power_off();
	if (phase == RUNNING && now >= next_tick) {
		send_tick(guest_cpu_us());
		next_tick = now + TICK_MS;
	}
	if (phase == DRAINING) {
		streams_give_up(agent_gone);
		if (streams_ended()) {
			send_exited(ending.kind, ending.value, ending.cpu_us, ending.max_rss_kib, oom_kills());
			phase = LEAVING;
			leave_at = now + LEAVE_MS;
		}
	}
	if (sessions_broken() != NULL)
		fault("sessions", EPROTO, sessions_broken());
}

static void loop(void)
{
	static struct poll_set set;
	for (;;) {
		set.count = 0;
		poll_add(&set, control_fd(), (short)(POLLIN | (control_pending() ? POLLOUT : 0)), control_ready, 0);
		poll_add(&set, children, POLLIN, children_ready, 0);
		if (phase == RUNNING || phase == DRAINING) {
			if (opens_room())
				poll_add(&set, opens_fd(), POLLIN, questions_ready, 0);
			agent_poll(&set);
			streams_poll(&set);
			sessions_poll(&set);
			if (look_again_fd() >= 0)
				poll_add(&set, look_again_fd(), POLLIN, looked_again, 0);
		}
		poll_run(&set, TICK_MS);
		watch_time();
	}
}

static void prepare(void)
{
	sigset_t blocked;
	struct rlimit files = {4096, 65536};
	/* Clients, open questions and pipes together exceed the usual 1024; the agent gets the usual soft limit back. */
	setrlimit(RLIMIT_NOFILE, &files);
	/* Before an agent that forks without end; the net process inherits it. */
	setpriority(PRIO_PROCESS, 0, -15);
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	children = signalfd(-1, &blocked, SFD_CLOEXEC | SFD_NONBLOCK);
	/* Whatever runs without descriptors 0 to 2 would give the next ones it opens that meaning. */
	for (int fd = open("/dev/null", O_RDWR); fd >= 0 && fd < 2; fd = dup(fd))
		;
}

int main(void)
{
	if (mounts_for_init() != 0)
		power_off();
	prepare();
	if (modules_load() != 0)
		power_off();
	if (control_open() != 0) {
		log_line("no port %s: %s", AUTHORITY_PORT_CONTROL, strerror(errno));
		power_off();
	}
	gate_heard = now_ms();
	send_ready();
	loop();
}
