#define _GNU_SOURCE
#include "file_pump.h"

#include <sys/socket.h>

#include "cbor.h"
#include "cell.h"
#include "frame.h"
#include "vhost_user.h"

/* One FUSE request: a write of the largest size behind its headers (40 + 40 bytes, rounded up). */
#define MESSAGE_BYTES (AUTHORITY_MAX_FUSE_DATA_BYTES + 4096)
/* Link header and the head of the byte string, written in front of the message. */
#define PREFIX_BYTES (AUTHORITY_LINK_HEADER_BYTES + 9)
#define FRAME_BYTES (AUTHORITY_MAX_FRAME_BYTES + AUTHORITY_LINK_HEADER_BYTES)
/* Where a FUSE message has its number, in requests and answers alike. */
#define FUSE_IN_HEADER_BYTES 40
#define FUSE_OUT_HEADER_BYTES 16
#define FUSE_UNIQUE_AT 8

/* A request the gate has not answered yet, and where its answer goes. */
struct waiting {
    uint64_t unique;
    int queue;
    uint16_t head;
    int writable;
    struct piece *piece;
};

static struct device {
    struct vhost_device vhost;
    uint32_t mount;
    int count;
    struct waiting waiting[QUEUES * MAX_QUEUE_SIZE];
    bool call[QUEUES];
} devices[MAX_DEVICES_OF_FILES];
static int device_count;
static int gate;

/* Requests on their way to the gate: nothing is taken from a queue while what was taken before does not fit. */
static struct {
    uint8_t bytes[2 * (PREFIX_BYTES + MESSAGE_BYTES)];
    size_t start, end;
} out;

static void give_up(struct vhost_device *vhost, int queue) {
    struct device *device = (struct device *)vhost;
    int kept = 0;
    for (int i = 0; i < device->count; i++)
        if (device->waiting[i].queue == queue)
            free(device->waiting[i].piece);
        else
            device->waiting[kept++] = device->waiting[i];
    device->count = kept;
}

static void done(struct device *device, int queue, uint16_t head, size_t written) {
    virtqueue_done(&device->vhost.queue[queue], head, (uint32_t)written);
    device->call[queue] = true;
}

static void remember(struct device *device, int queue, const struct chain *chain, uint64_t unique) {
    if (device->count == QUEUES * MAX_QUEUE_SIZE) die("files: more requests under way than the queues hold");
    size_t bytes = (size_t)chain->writable * sizeof(struct piece);
    struct piece *piece = malloc(bytes);
    if (piece == NULL) die("files: no memory");
    memcpy(piece, chain->piece + chain->readable, bytes);
    device->waiting[device->count++] = (struct waiting){unique, queue, chain->head, chain->writable, piece};
}

static bool has_room(void) {
    return sizeof out.bytes - out.end >= PREFIX_BYTES + MESSAGE_BYTES;
}

/* One request, copied once out of the guest's reach: what is looked at here is what the gate gets. */
static void forward(struct device *device, int queue, const struct chain *chain) {
    uint64_t length = chain->readable_bytes;
    uint8_t *message = out.bytes + out.end + PREFIX_BYTES;
    if (length < FUSE_IN_HEADER_BYTES || length > MESSAGE_BYTES) die("files: a request of %llu bytes", (unsigned long long)length);
    if (!pieces_read(&device->vhost.memory, chain->piece, chain->readable, message)) die("files: a request outside the memory");
    uint64_t unique;
    memcpy(&unique, message + FUSE_UNIQUE_AT, sizeof unique);
    struct cbor_writer head = cbor_write(out.bytes + out.end + AUTHORITY_LINK_HEADER_BYTES, 9);
    cbor_put_bytes_head(&head, length);
    frame_put_header(out.bytes + out.end, device->mount, head.length + length);
    size_t prefix = AUTHORITY_LINK_HEADER_BYTES + head.length;
    memmove(out.bytes + out.end + prefix, message, length);
    out.end += prefix + length;
    if (chain->writable == 0)
        done(device, queue, chain->head, 0);
    else
        remember(device, queue, chain, unique);
}

static void take_requests(struct device *device, int queue) {
    static struct chain chain;
    struct virtqueue *ring = &device->vhost.queue[queue];
    while (has_room()) {
        int found = virtqueue_next(ring, &device->vhost.memory, &chain);
        if (found < 0) die("files: the guest broke a queue");
        if (found == 0) return;
        forward(device, queue, &chain);
    }
}

static void send_requests(void) {
    while (out.start < out.end) {
        ssize_t sent = send(gate, out.bytes + out.start, out.end - out.start, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) break;
        if (sent <= 0) die("files: the gate is gone");
        out.start += (size_t)sent;
    }
    if (out.start < out.end && out.start > 0) memmove(out.bytes, out.bytes + out.start, out.end - out.start);
    out.end -= out.start;
    out.start = 0;
}

/* An answer to nothing is a message of its own, which virtio-fs has no way for. */
static void deliver(struct device *device, const struct span *message) {
    uint64_t unique;
    if (message->length < FUSE_OUT_HEADER_BYTES) die("files: the gate answered %zu bytes", message->length);
    memcpy(&unique, message->bytes + FUSE_UNIQUE_AT, sizeof unique);
    for (int i = 0; i < device->count; i++) {
        struct waiting one = device->waiting[i];
        if (one.unique != unique) continue;
        device->waiting[i] = device->waiting[--device->count];
        bool fits = pieces_write(&device->vhost.memory, one.piece, one.writable, message->bytes, message->length);
        free(one.piece);
        if (!fits) die("files: no room for an answer of %zu bytes", message->length);
        done(device, one.queue, one.head, message->length);
        return;
    }
}

static void deliver_frame(const struct frame *frame) {
    struct cbor_reader in = cbor_read(frame->item, frame->item_length);
    struct span message = cbor_bytes(&in, AUTHORITY_MAX_FRAME_BYTES);
    if (!cbor_end(&in)) die("files: the gate’s frame is no message");
    for (int i = 0; i < device_count; i++)
        if (devices[i].mount == frame->session) return deliver(&devices[i], &message);
    die("files: there is no mount %u", frame->session);
}

static void receive_answers(void) {
    static uint8_t buffer[2 * FRAME_BYTES];
    static size_t have;
    ssize_t got = recv(gate, buffer + have, sizeof buffer - have, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) exit(0);
    have += (size_t)got;
    size_t used = 0;
    struct frame frame;
    enum frame_state state;
    while ((state = frame_parse(buffer + used, have - used, &frame)) == FRAME_WHOLE) {
        deliver_frame(&frame);
        used += frame.length;
    }
    if (state == FRAME_BAD) die("files: the gate’s frame is too long");
    have -= used;
    if (used > 0) memmove(buffer, buffer + used, have);
}

static void call_guest(void) {
    static const uint64_t one = 1;
    for (int i = 0; i < device_count; i++)
        for (int k = 0; k < QUEUES; k++) {
            struct virtqueue *queue = &devices[i].vhost.queue[k];
            if (!devices[i].call[k]) continue;
            devices[i].call[k] = false;
            if (queue->call >= 0 && queue->descriptors != NULL && virtqueue_wants_call(queue) && write(queue->call, &one, sizeof one) < 0 && errno != EAGAIN)
                die_errno("files: telling the guest");
        }
}

/* Every queue that is ready, to its end or until there is no room; then kicks are wanted again, and whether one was missed is looked at. */
static void serve_queues(void) {
    bool again;
    do {
        again = false;
        for (int i = 0; i < device_count; i++)
            for (int k = 0; k < QUEUES; k++) {
                struct virtqueue *queue = &devices[i].vhost.queue[k];
                if (!virtqueue_ready(queue)) continue;
                virtqueue_want_kicks(queue, false);
                take_requests(&devices[i], k);
                virtqueue_want_kicks(queue, true);
                again |= has_room() && virtqueue_pending(queue);
            }
        send_requests();
    } while (again);
}

static void take_kick(int event) {
    uint64_t times;
    if (read(event, &times, sizeof times) < 0 && errno != EAGAIN) die_errno("files: a kick");
}

_Noreturn void pump_files(int gate_socket, const struct file_device *wanted, int count) {
    struct pollfd ready[1 + MAX_DEVICES_OF_FILES * (1 + QUEUES)];
    gate = gate_socket;
    device_count = count;
    for (int i = 0; i < count; i++) {
        vhost_init(&devices[i].vhost, wanted[i].socket, give_up);
        devices[i].mount = wanted[i].mount;
    }
    for (;;) {
        nfds_t n = 0;
        ready[n++] = (struct pollfd){gate, POLLIN | (out.end > out.start ? POLLOUT : 0), 0};
        for (int i = 0; i < count; i++) {
            ready[n++] = (struct pollfd){devices[i].vhost.socket, POLLIN, 0};
            for (int k = 0; k < QUEUES; k++) ready[n++] = (struct pollfd){has_room() ? devices[i].vhost.queue[k].kick : -1, POLLIN, 0};
        }
        if (poll(ready, n, -1) < 0 && errno != EINTR) die_errno("files: poll");
        for (int i = 0; i < count; i++) {
            const struct pollfd *own = &ready[1 + i * (1 + QUEUES)];
            for (int k = 0; k < QUEUES; k++)
                if (own[1 + k].revents) take_kick(own[1 + k].fd);
            if (own->revents && !vhost_receive(&devices[i].vhost)) exit(0);
        }
        if (ready[0].revents & (POLLIN | POLLHUP | POLLERR)) receive_answers();
        serve_queues();
        call_guest();
    }
}
