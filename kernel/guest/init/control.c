#include "control.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cbor.h"
#include "bounds.h"
#include "port.h"
#include "power.h"
#include "queue.h"
#include "system.h"

/* Room for any message without a long string, and for the heads of one that has a string. */
#define HEAD_BYTES 512

static int port = -1;
static struct queue outgoing;
static struct queue incoming;

int control_open(void)
{
	port = port_open(AUTHORITY_PORT_CONTROL);
	return port < 0 ? -1 : set_nonblocking(port);
}

int control_fd(void)
{
	return port;
}

bool control_full(void)
{
	return queue_length(&outgoing) >= CONTROL_QUEUE_FULL;
}

bool control_pending(void)
{
	return queue_length(&outgoing) > 0;
}

bool control_flush(void)
{
	return queue_flush(&outgoing, port);
}

/* One frame: its head as written so far, then `tail` (the bytes of its last string). A gate that lets 4 MiB pile up is gone. */
static void send_message(const struct cbor_writer *head, const void *tail, size_t tail_length)
{
	uint8_t link[AUTHORITY_LINK_HEADER_BYTES];
	frame_put_header(link, 0, head->length + tail_length);
	bool queued = !head->full && queue_put(&outgoing, link, sizeof link, CONTROL_QUEUE_MAX) &&
		      queue_put(&outgoing, head->bytes, head->length, CONTROL_QUEUE_MAX) &&
		      (tail_length == 0 || queue_put(&outgoing, tail, tail_length, CONTROL_QUEUE_MAX));
	if (!queued || !control_flush()) {
		log_line("the gate does not take what init sends");
		power_off();
	}
}

static struct cbor_writer begin(uint8_t bytes[HEAD_BYTES], size_t elements, uint64_t type)
{
	struct cbor_writer out = cbor_write(bytes, HEAD_BYTES);
	cbor_put_array(&out, elements);
	cbor_put_uint(&out, type);
	return out;
}

void send_ready(void)
{
	uint8_t bytes[HEAD_BYTES];
	struct utsname name = {0};
	uname(&name);
	struct cbor_writer out = begin(bytes, 4, AUTHORITY_GUEST_READY);
	cbor_put_uint(&out, AUTHORITY_GUEST_VERSION);
	cbor_put_uint(&out, boot_ms());
	cbor_put_text(&out, name.release, 256);
	send_message(&out, NULL, 0);
}

void send_armed(const char *const fences[], size_t count)
{
	uint8_t bytes[HEAD_BYTES];
	struct cbor_writer out = begin(bytes, 2, AUTHORITY_GUEST_ARMED);
	cbor_put_array(&out, count);
	for (size_t i = 0; i < count; i++)
		cbor_put_text(&out, fences[i], 16);
	send_message(&out, NULL, 0);
}

/* [type, a, b…]: every message that is only numbers. */
static void send_numbers(uint64_t type, const uint64_t *values, size_t count)
{
	uint8_t bytes[HEAD_BYTES];
	struct cbor_writer out = begin(bytes, 1 + count, type);
	for (size_t i = 0; i < count; i++)
		cbor_put_uint(&out, values[i]);
	send_message(&out, NULL, 0);
}

void send_started(int pid)
{
	send_numbers(AUTHORITY_GUEST_STARTED, (const uint64_t[]){(uint64_t)pid}, 1);
}

void send_exited(uint32_t kind, uint32_t value, uint64_t cpu_us, uint64_t max_rss_kib, uint32_t oom_kills)
{
	send_numbers(AUTHORITY_GUEST_EXITED, (const uint64_t[]){kind, value, cpu_us, max_rss_kib, oom_kills}, 5);
}

void send_program(uint32_t pid)
{
	uint8_t bytes[HEAD_BYTES + AUTHORITY_MAX_EXE_BYTES];
	char link[64];
	char executable[AUTHORITY_MAX_EXE_BYTES + 1];
	snprintf(link, sizeof link, "/proc/%u/exe", pid);
	ssize_t length = readlink(link, executable, sizeof executable - 1);
	executable[length > 0 ? length : 0] = 0;
	struct cbor_writer out = cbor_write(bytes, sizeof bytes);
	cbor_put_array(&out, AUTHORITY_GUEST_PROGRAM_ELEMENTS);
	cbor_put_uint(&out, AUTHORITY_GUEST_PROGRAM);
	cbor_put_uint(&out, pid);
	cbor_put_text(&out, executable, AUTHORITY_MAX_EXE_BYTES);
	send_message(&out, NULL, 0);
}

/* One mask of /proc/PID/status; none where the line is missing. */
static uint64_t mask_of(const char *status, const char *name)
{
	const char *line = strstr(status, name);
	return line == NULL ? 0 : strtoull(line + strlen(name), NULL, 16);
}

/* A process that is gone waits for nothing any more: its request may end too. */
static bool signal_waits(uint32_t pid)
{
	char path[64], status[4096];
	snprintf(path, sizeof path, "/proc/%u/status", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, status, sizeof status - 1);
	if (fd >= 0)
		close(fd);
	if (length <= 0)
		return true;
	status[length] = 0;
	uint64_t pending = mask_of(status, "\nSigPnd:\t") | mask_of(status, "\nShdPnd:\t");
	return (pending & ~mask_of(status, "\nSigBlk:\t")) != 0;
}

void send_signal_waits(uint32_t pid)
{
	uint8_t bytes[HEAD_BYTES];
	struct cbor_writer out = cbor_write(bytes, sizeof bytes);
	cbor_put_array(&out, AUTHORITY_GUEST_SIGNAL_WAITS_ELEMENTS);
	cbor_put_uint(&out, AUTHORITY_GUEST_SIGNAL_WAITS);
	cbor_put_uint(&out, pid);
	cbor_put_bool(&out, signal_waits(pid));
	send_message(&out, NULL, 0);
}

void send_looked_again(void)
{
	send_numbers(AUTHORITY_GUEST_LOOKED_AGAIN, NULL, 0);
}

void send_output(int stream, const void *data, size_t length)
{
	uint8_t bytes[HEAD_BYTES];
	struct cbor_writer out = begin(bytes, 3, AUTHORITY_GUEST_OUTPUT);
	cbor_put_uint(&out, (uint64_t)stream);
	cbor_put_bytes_head(&out, length);
	send_message(&out, data, length);
}

void send_output_end(int stream)
{
	send_numbers(AUTHORITY_GUEST_OUTPUT_END, (const uint64_t[]){(uint64_t)stream}, 1);
}

void send_stdin_credit(size_t credit)
{
	send_numbers(AUTHORITY_GUEST_STDIN_CREDIT, (const uint64_t[]){credit}, 1);
}

void send_open_question(uint32_t id, int pid, bool exec, uint32_t links, const void *path, size_t length)
{
	uint8_t bytes[HEAD_BYTES];
	struct cbor_writer out = begin(bytes, 6, AUTHORITY_GUEST_OPEN_QUESTION);
	cbor_put_uint(&out, id);
	cbor_put_uint(&out, (uint64_t)pid);
	cbor_put_bool(&out, exec);
	cbor_put_uint(&out, links);
	cbor_put_bytes_head(&out, length);
	send_message(&out, path, length);
}

void send_fault(const char *stage, int error, const char *detail)
{
	uint8_t bytes[HEAD_BYTES];
	log_line("fault: %s: %s (errno %d)", stage, detail, error);
	struct cbor_writer out = begin(bytes, 4, AUTHORITY_GUEST_FAULT);
	cbor_put_text(&out, stage, 64);
	cbor_put_uint(&out, (uint64_t)error);
	cbor_put_text(&out, detail, 256);
	send_message(&out, NULL, 0);
}

void send_pong(uint32_t number)
{
	send_numbers(AUTHORITY_GUEST_PONG, (const uint64_t[]){number}, 1);
}

void send_tick(uint64_t cpu_us)
{
	send_numbers(AUTHORITY_GUEST_TICK, &cpu_us, 1);
}

enum control_state control_receive(void)
{
	switch (queue_fill(&incoming, port, TURN_BYTES, AUTHORITY_MAX_FRAME_BYTES + AUTHORITY_LINK_HEADER_BYTES)) {
	case FILL_SOME:
		return CONTROL_MESSAGE;
	case FILL_END:
		return CONTROL_GONE;
	case FILL_NONE:
		break;
	}
	return CONTROL_NOTHING;
}

enum control_state control_next(struct frame *out)
{
	switch (frame_parse(queue_bytes(&incoming), queue_length(&incoming), out)) {
	case FRAME_WHOLE:
		return out->session == 0 ? CONTROL_MESSAGE : CONTROL_BAD;
	case FRAME_BAD:
		return CONTROL_BAD;
	case FRAME_PARTIAL:
		break;
	}
	return CONTROL_NOTHING;
}

void control_done(const struct frame *frame)
{
	queue_take(&incoming, frame->length);
}
