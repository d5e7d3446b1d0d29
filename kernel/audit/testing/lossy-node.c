/* Files and folders in memory: as they read now, and what of them would be there after a power cut. */
#include "lossy-fs.h"

uint64_t random_state;
static ino_t last_number;

static void *grown(void *old, size_t bytes)
{
	void *grown = realloc(old, bytes ? bytes : 1);
	if (!grown)
		abort();
	return grown;
}

uint32_t random_number(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33);
}

struct node *new_node(mode_t mode)
{
	struct node *node = calloc(1, sizeof *node);
	if (!node)
		abort();
	node->number = ++last_number;
	node->mode = mode;
	return node;
}

/* ---- bytes ---- */

void resize(struct bytes *bytes, size_t size)
{
	if (size > bytes->room) {
		bytes->room = size * 2;
		bytes->data = grown(bytes->data, bytes->room);
	}
	if (size > bytes->size)
		memset(bytes->data + bytes->size, 0, size - bytes->size);
	bytes->size = size;
}

void soil(struct node *node, size_t from, size_t to)
{
	if (from < node->dirty_from)
		node->dirty_from = from;
	if (to > node->dirty_to)
		node->dirty_to = to;
}

void sync_bytes(struct node *node)
{
	size_t to = node->dirty_to < node->now.size ? node->dirty_to : node->now.size;
	resize(&node->disk, node->now.size);
	if (node->dirty_from < to)
		memcpy(node->disk.data + node->dirty_from, node->now.data + node->dirty_from, to - node->dirty_from);
	node->dirty_from = SIZE_MAX;
	node->dirty_to = 0;
}

/* Of what was not synced each sector may have been written, and the size may be the old one, the new one, or in between. */
static void lose_bytes(struct node *node, bool all)
{
	size_t size = node->disk.size;
	if (!all) {
		size_t larger = node->now.size > size ? node->now.size : size;
		resize(&node->disk, larger);
		for (size_t at = 0; at < node->now.size; at += SECTOR) {
			size_t length = node->now.size - at < SECTOR ? node->now.size - at : SECTOR;
			if (random_number() & 1)
				memcpy(node->disk.data + at, node->now.data + at, length);
		}
		uint32_t choice = random_number() % 3;
		if (choice == 1 || (choice == 2 && node->now.size <= size))
			size = node->now.size;
		else if (choice == 2)
			size += random_number() % (node->now.size - size);
	}
	resize(&node->disk, size);
	resize(&node->now, 0);
	resize(&node->now, size);
	memcpy(node->now.data, node->disk.data, size);
	node->dirty_from = SIZE_MAX;
	node->dirty_to = 0;
}

/* ---- names ---- */

struct name *find_name(struct names *names, const char *text)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->list[i].text, text) == 0)
			return &names->list[i];
	return NULL;
}

static void apply(struct names *names, const struct change *change)
{
	struct name *gone = change->removed[0] ? find_name(names, change->removed) : NULL;
	if (gone)
		*gone = names->list[--names->count];
	if (!change->added[0])
		return;
	struct name *there = find_name(names, change->added);
	if (!there) {
		names->list = grown(names->list, (names->count + 1) * sizeof *names->list);
		there = &names->list[names->count++];
	}
	strcpy(there->text, change->added);
	there->node = change->node;
}

void change_names(struct node *folder, const char *removed, const char *added, struct node *node)
{
	struct change change = {.node = node};
	strcpy(change.removed, removed);
	strcpy(change.added, added);
	apply(&folder->names, &change);
	folder->changes = grown(folder->changes, (folder->change_count + 1) * sizeof change);
	folder->changes[folder->change_count++] = change;
}

void sync_names(struct node *folder, size_t count)
{
	for (size_t i = 0; i < count; i++)
		apply(&folder->disk_names, &folder->changes[i]);
	folder->change_count = 0;
}

void lose(struct node *node, bool all)
{
	if (!S_ISDIR(node->mode)) {
		lose_bytes(node, all);
		return;
	}
	sync_names(node, all || node->change_count == 0 ? 0 : random_number() % (node->change_count + 1));
	node->names.count = 0;
	for (size_t i = 0; i < node->disk_names.count; i++) {
		struct change change = {.node = node->disk_names.list[i].node};
		strcpy(change.added, node->disk_names.list[i].text);
		apply(&node->names, &change);
		lose(change.node, all);
	}
}
