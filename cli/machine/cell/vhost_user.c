#define _GNU_SOURCE
#include "vhost_user.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum request {
    GET_FEATURES = 1,
    SET_FEATURES,
    SET_OWNER,
    RESET_OWNER,
    SET_MEM_TABLE,
    SET_VRING_NUM = 8,
    SET_VRING_ADDR,
    SET_VRING_BASE,
    GET_VRING_BASE,
    SET_VRING_KICK,
    SET_VRING_CALL,
    SET_VRING_ERR,
    GET_PROTOCOL_FEATURES,
    SET_PROTOCOL_FEATURES,
    GET_QUEUE_NUM,
    SET_VRING_ENABLE,
};
enum { VERSION = 1, VERSION_MASK = 3, REPLY = 4, NEED_REPLY = 8 };

#define FEATURES (UINT64_C(1) << 32 /* VIRTIO_F_VERSION_1 */ | UINT64_C(1) << 30 /* protocol features */ | UINT64_C(1) << 28 /* indirect descriptors */)
#define FEATURE_QUEUES (UINT64_C(1) << 0)
#define FEATURE_REPLY_ACK (UINT64_C(1) << 3)
#define PROTOCOL_FEATURES (FEATURE_QUEUES | FEATURE_REPLY_ACK)

struct header {
    uint32_t request, flags, size;
};
struct memory_region {
    uint64_t guest, size, user, offset;
};
union payload {
    uint64_t number;
    struct {
        uint32_t index, value;
    } state;
    struct {
        uint32_t index, flags;
        uint64_t descriptors, used, available, log;
    } address;
    struct {
        uint32_t count, padding;
        struct memory_region region[MAX_REGIONS];
    } memory;
};
/* One message, and the descriptors that came with it: whoever keeps one takes it out. */
struct message {
    struct header header;
    union payload payload;
    int files;
    int file[MAX_REGIONS];
};

void vhost_init(struct vhost_device *device, int socket, void (*stopped)(struct vhost_device *, int)) {
    *device = (struct vhost_device){.socket = socket, .stopped = stopped};
    for (int i = 0; i < QUEUES; i++) device->queue[i].kick = device->queue[i].call = -1;
}

static bool read_rest(int socket, uint8_t *into, size_t length) {
    while (length > 0) {
        ssize_t got = recv(socket, into, length, 0);
        if (got <= 0) return false;
        into += got;
        length -= (size_t)got;
    }
    return true;
}

static bool read_message(int socket, struct message *in) {
    union {
        struct cmsghdr first;
        char bytes[CMSG_SPACE(sizeof in->file)];
    } control;
    struct iovec part = {&in->header, sizeof in->header};
    struct msghdr parts = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    memset(in, 0, sizeof *in);
    ssize_t got = recvmsg(socket, &parts, MSG_CMSG_CLOEXEC);
    if (got <= 0) return false;
    for (struct cmsghdr *one = CMSG_FIRSTHDR(&parts); one != NULL; one = CMSG_NXTHDR(&parts, one))
        if (one->cmsg_level == SOL_SOCKET && one->cmsg_type == SCM_RIGHTS && in->files == 0) {
            in->files = (int)((one->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            memcpy(in->file, CMSG_DATA(one), (size_t)in->files * sizeof(int));
        }
    if ((parts.msg_flags & MSG_CTRUNC) || !read_rest(socket, (uint8_t *)&in->header + got, sizeof in->header - (size_t)got)) return false;
    if ((in->header.flags & VERSION_MASK) != VERSION || in->header.size > sizeof in->payload) return false;
    return read_rest(socket, (uint8_t *)&in->payload, in->header.size);
}

static bool answer(struct vhost_device *device, uint32_t request, const void *payload, uint32_t size) {
    struct {
        struct header header;
        uint8_t payload[8];
    } out = {.header = {request, VERSION | REPLY, size}};
    memcpy(out.payload, payload, size);
    size_t length = sizeof out.header + size;
    return send(device->socket, &out, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static bool answer_number(struct vhost_device *device, uint32_t request, uint64_t number) {
    return answer(device, request, &number, sizeof number);
}

static int take_file(struct message *in, int i) {
    int file = i < in->files ? in->file[i] : -1;
    if (i < in->files) in->file[i] = -1;
    return file;
}

static bool set_memory(struct vhost_device *device, const struct message *in) {
    uint32_t count = in->payload.memory.count;
    if (count > MAX_REGIONS || (int)count != in->files || in->header.size < 8 + count * sizeof(struct memory_region)) return false;
    memory_clear(&device->memory);
    for (uint32_t i = 0; i < count; i++) {
        const struct memory_region *region = &in->payload.memory.region[i];
        if (!memory_add(&device->memory, region->guest, region->user, region->size, in->file[i], region->offset)) return false;
    }
    for (int i = 0; i < QUEUES; i++) virtqueue_locate(&device->queue[i], &device->memory);
    return true;
}

static void set_event(int *event, int file) {
    if (*event >= 0) close(*event);
    *event = file;
}

/* The messages about one queue: its number comes first in all of them. */
static bool set_queue(struct vhost_device *device, struct message *in, bool *answered) {
    const union payload *said = &in->payload;
    uint32_t index = in->header.request >= SET_VRING_KICK && in->header.request <= SET_VRING_ERR ? (uint32_t)(said->number & 0xff) : said->state.index;
    if (index >= QUEUES || in->header.size < 8) return false;
    struct virtqueue *queue = &device->queue[index];
    switch ((enum request)in->header.request) {
    case SET_VRING_NUM:
        if (said->state.value == 0 || said->state.value > MAX_QUEUE_SIZE || (said->state.value & (said->state.value - 1))) return false;
        queue->size = said->state.value;
        /* Rings of another size lie elsewhere in the memory, or outside it. */
        virtqueue_locate(queue, &device->memory);
        return true;
    case SET_VRING_ADDR:
        if (in->header.size < sizeof said->address) return false;
        queue->descriptors_at = said->address.descriptors;
        queue->available_at = said->address.available;
        queue->used_at = said->address.used;
        virtqueue_locate(queue, &device->memory);
        /* What was used before us is what the ring says. */
        if (queue->descriptors != NULL) queue->next_used = queue->used[1];
        return true;
    case SET_VRING_BASE:
        queue->next_available = (uint16_t)said->state.value;
        return true;
    case GET_VRING_BASE:
        *answered = true;
        device->stopped(device, (int)index);
        set_event(&queue->kick, -1);
        queue->descriptors = NULL;
        uint32_t state[2] = {index, queue->next_available};
        return answer(device, GET_VRING_BASE, state, sizeof state);
    case SET_VRING_KICK:
        /* A queue that is polled instead of kicked is not spoken. */
        if (in->files != 1) return false;
        set_event(&queue->kick, take_file(in, 0));
        return true;
    case SET_VRING_CALL:
        set_event(&queue->call, take_file(in, 0));
        return true;
    case SET_VRING_ERR:
        return true;
    case SET_VRING_ENABLE:
        queue->enabled = said->state.value == 1;
        return true;
    default:
        return false;
    }
}

static bool act_on(struct vhost_device *device, struct message *in, bool *answered) {
    switch ((enum request)in->header.request) {
    case GET_FEATURES:
        return *answered = true, answer_number(device, GET_FEATURES, FEATURES);
    case GET_PROTOCOL_FEATURES:
        return *answered = true, answer_number(device, GET_PROTOCOL_FEATURES, PROTOCOL_FEATURES);
    case GET_QUEUE_NUM:
        return *answered = true, answer_number(device, GET_QUEUE_NUM, QUEUES);
    case SET_FEATURES:
        return (in->payload.number & ~FEATURES) == 0;
    case SET_PROTOCOL_FEATURES:
        device->protocol_features = in->payload.number;
        return (in->payload.number & ~PROTOCOL_FEATURES) == 0;
    case SET_OWNER:
    case RESET_OWNER:
        return true;
    case SET_MEM_TABLE:
        return set_memory(device, in);
    default:
        return set_queue(device, in, answered);
    }
}

bool vhost_receive(struct vhost_device *device) {
    struct message in;
    bool answered = false;
    bool good = read_message(device->socket, &in) && act_on(device, &in, &answered);
    for (int i = 0; i < in.files; i++)
        if (in.file[i] >= 0) close(in.file[i]);
    bool wanted = (in.header.flags & NEED_REPLY) && (device->protocol_features & FEATURE_REPLY_ACK);
    return good && (answered || !wanted || answer_number(device, in.header.request, 0));
}
