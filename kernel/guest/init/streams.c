#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "control.h"
#include "bounds.h"
#include "protocol.h"
#include "queue.h"
#include "system.h"
#include "terminal.h"

/* Most credit one stream can hold: beyond it the gate is at fault. */
#define MAX_CREDIT (1u << 30)

struct output {
	int fd;
	uint64_t credit;
	uint64_t last_ms;
	bool ended;
};

/* Index 1 is stdout (or the terminal), 2 is stderr. */
static struct output outputs[3];
static int input = -1;
static struct queue input_queue;
static size_t input_credit;
static bool input_ending;
static bool is_tty;

static int open_pipes(struct stream_ends *ends)
{
	int in[2], out[2], error[2];
	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(error, O_CLOEXEC) != 0)
		return -1;
	*ends = (struct stream_ends){.in = in[0], .out = out[1], .error = error[1], .tty = false};
	input = in[1];
	outputs[1].fd = out[0];
	outputs[2].fd = error[0];
	return set_nonblocking(input) != 0 || set_nonblocking(out[0]) != 0 || set_nonblocking(error[0]) != 0 ? -1 : 0;
}

static int open_tty(const struct start *start, struct stream_ends *ends)
{
	int terminal;
	int agent = terminal_open(&terminal, start->uid, start->rows, start->columns);
	if (agent < 0)
		return -1;
	*ends = (struct stream_ends){.in = agent, .out = agent, .error = agent, .tty = true};
	input = terminal;
	outputs[1].fd = terminal;
	outputs[2].fd = -1;
	outputs[2].ended = true;
	send_output_end(2);
	return set_nonblocking(terminal);
}

int streams_open(const struct start *start, struct stream_ends *ends)
{
	for (int i = 1; i <= 2; i++)
		outputs[i] = (struct output){.fd = -1, .credit = AUTHORITY_INITIAL_STDOUT_CREDIT, .last_ms = now_ms()};
	is_tty = start->tty;
	if ((is_tty ? open_tty(start, ends) : open_pipes(ends)) != 0)
		return -1;
	input_credit = STDIN_QUEUE_MAX;
	send_stdin_credit(input_credit);
	return 0;
}

void streams_close_ends(const struct stream_ends *ends)
{
	close(ends->in);
	if (!ends->tty) {
		close(ends->out);
		close(ends->error);
	}
}

static void end_output(int stream)
{
	struct output *output = &outputs[stream];
	if (output->fd >= 0 && output->fd != input)
		close(output->fd);
	output->fd = -1;
	output->ended = true;
	send_output_end(stream);
}

static void read_output(int stream, short events)
{
	(void)events;
	static uint8_t bytes[AUTHORITY_MAX_STDIO_BYTES];
	struct output *output = &outputs[stream];
	if (output->fd < 0 || control_full())
		return;
	size_t want = output->credit < sizeof bytes ? (size_t)output->credit : sizeof bytes;
	ssize_t got = read(output->fd, bytes, want);
	if (got > 0) {
		output->credit -= (uint64_t)got;
		output->last_ms = now_ms();
		send_output(stream, bytes, (size_t)got);
	} else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
		/* A terminal whose last user is gone reads as EIO. */
		end_output(stream);
	}
}

static void close_input(void)
{
	queue_free(&input_queue);
	if (input >= 0 && !is_tty)
		close(input);
	input = -1;
}

static void write_input(int argument, short events)
{
	(void)argument;
	(void)events;
	size_t before = queue_length(&input_queue);
	if (input < 0)
		return;
	if (!queue_flush(&input_queue, input)) {
		close_input();
		return;
	}
	size_t written = before - queue_length(&input_queue);
	if (written > 0) {
		input_credit += written;
		send_stdin_credit(written);
	}
	if (input_ending && queue_length(&input_queue) == 0) {
		input_ending = false;
		if (is_tty)
			terminal_end_of_file(input);
		else
			close_input();
	}
}

void streams_poll(struct poll_set *set)
{
	for (int i = 1; i <= 2; i++)
		if (outputs[i].credit > 0 && !control_full())
			poll_add(set, outputs[i].fd, POLLIN, read_output, i);
	if (queue_length(&input_queue) > 0)
		poll_add(set, input, POLLOUT, write_input, 0);
}

bool streams_stdin(const uint8_t *bytes, size_t length)
{
	if (length > input_credit || length > AUTHORITY_MAX_STDIO_BYTES)
		return false;
	input_credit -= length;
	/* An agent that closed its stdin loses what comes, as with any pipe; no credit returns. */
	if (input < 0 || input_ending || length == 0)
		return true;
	if (!queue_put(&input_queue, bytes, length, STDIN_QUEUE_MAX))
		return false;
	write_input(0, 0);
	return true;
}

void streams_stdin_end(void)
{
	input_ending = true;
	write_input(0, 0);
}

bool streams_credit(int stream, uint64_t bytes)
{
	if (stream != 1 && stream != 2)
		return false;
	struct output *output = &outputs[stream];
	if (bytes > MAX_CREDIT - output->credit)
		return false;
	output->credit += bytes;
	output->last_ms = now_ms();
	return true;
}

void streams_window(uint16_t rows, uint16_t columns)
{
	if (is_tty && input >= 0)
		terminal_resize(input, rows, columns);
}

bool streams_ended(void)
{
	return outputs[1].ended && outputs[2].ended;
}

void streams_give_up(uint64_t since)
{
	uint64_t now = now_ms();
	for (int i = 1; i <= 2; i++) {
		uint64_t last = outputs[i].last_ms > since ? outputs[i].last_ms : since;
		if (!outputs[i].ended && outputs[i].credit > 0 && !control_full() && now > last + DRAIN_MS)
			end_output(i);
	}
}
