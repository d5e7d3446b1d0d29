/* A hostile local client ends itself and nobody else. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "client.h"
#include "bounds.h"

static int connect_client(unsigned session)
{
	int ends[2];
	struct client_identity who;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
	client_open(session, ends[0], &who);
	CHECK(who.pid == (uint32_t)getpid() && who.uid == getuid() && strstr(who.executable, "tests") != NULL);
	return ends[1];
}

static void end(unsigned session, int peer)
{
	client_close(session);
	CHECK(!client_is_open(session) && client_free_session() != session);
	client_forget(session);
	close(peer);
}

static void takes_whole_frames(void)
{
	static const uint8_t sent[] = {0, 0, 0, 5, 0, 0, 0, 0, 0xf6};
	struct frame frame;
	unsigned session = client_free_session();
	int peer = connect_client(session);
	CHECK(session == 1 && client_free_session() == 2);
	CHECK(write(peer, sent, 4) == 4 && client_receive(session) && client_next_frame(session, &frame) == FRAME_PARTIAL);
	CHECK(write(peer, sent + 4, 5) == 5 && client_receive(session) && client_next_frame(session, &frame) == FRAME_WHOLE);
	/* Its next bytes wait in the socket until the frame is taken. */
	CHECK((client_events(session) & POLLIN) == 0);
	client_took_frame(session, &frame);
	CHECK((client_events(session) & POLLIN) != 0 && client_next_frame(session, &frame) == FRAME_PARTIAL);
	end(session, peer);
}

static void refuses(const uint8_t *bytes, size_t length)
{
	struct frame frame;
	int peer = connect_client(1);
	CHECK(write(peer, bytes, length) == (ssize_t)length && client_receive(1) && client_next_frame(1, &frame) == FRAME_BAD);
	end(1, peer);
}

static void bounds_a_deaf_client(void)
{
	static uint8_t item[1 << 19];
	struct frame frame = {.session = 1, .item = item, .item_length = sizeof item, .length = sizeof item + AUTHORITY_LINK_HEADER_BYTES};
	int peer = connect_client(1);
	int other = connect_client(2);
	unsigned delivered = 0;
	while (delivered < 100 && client_deliver(1, &frame))
		delivered++;
	CHECK(delivered >= 4 && delivered < (CLIENT_QUEUE_MAX + (2u << 20)) / sizeof item);
	end(1, peer);
	CHECK(client_is_open(2) && client_deliver(2, &frame));
	end(2, other);
}

static void bounds_all_clients(void)
{
	/* Each announces 1 MiB and sends most of it: what all of them hold together stays under the bound. */
	static const uint8_t header[] = {0, 0x10, 0, 0, 0, 0, 0, 0};
	static uint8_t body[60000];
	int peers[AUTHORITY_MAX_SESSIONS + 1];
	unsigned refused = 0;
	for (unsigned session = 1; session <= 64; session++) {
		peers[session] = connect_client(session);
		bool alive = write(peers[session], header, sizeof header) == sizeof header;
		for (int i = 0; alive && i < 16; i++)
			alive = write(peers[session], body, sizeof body) == sizeof body && client_receive(session);
		if (!alive) {
			refused++;
			end(session, peers[session]);
			peers[session] = -1;
		}
	}
	CHECK(refused > 0 && refused < 64);
	for (unsigned session = 1; session <= 64; session++)
		if (peers[session] >= 0)
			end(session, peers[session]);
}

static void refuses_bad_frames(void)
{
	static const uint8_t forged[] = {0, 0, 0, 5, 0, 0, 0, 9, 0xf6};
	static const uint8_t oversized[] = {0xff, 0xff, 0xff, 0xff};
	static const uint8_t empty[] = {0, 0, 0, 4};
	refuses(forged, sizeof forged);
	refuses(oversized, sizeof oversized);
	refuses(empty, sizeof empty);
}

void test_clients(void)
{
	TEST(takes_whole_frames);
	TEST(refuses_bad_frames);
	TEST(bounds_a_deaf_client);
	TEST(bounds_all_clients);
}
