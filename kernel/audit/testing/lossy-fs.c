/*
 * A file system in memory that loses what was not synced, for tests: `lossy-fs MOUNTPOINT`. Stricter than any disk: data and size of a file stay after fsync or
 * fdatasync of it, names of a folder after fsync of that folder, and nothing else.
 *
 * The file .lossy in its root is the switch. Writing to it:
 *   cut N before|after SEED   at the Nth change from now (before or after it is made) the power fails: whoever makes it is killed, what was not synced is
 *                             lost (SEED 0: all of it; else each sector, size and name may have reached the disk), and every later call fails with EIO
 *   on                        the machine starts again
 * Reading it: `changes N dead 0|1`.
 */
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE
#include <errno.h>
#include <fuse.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512
#define SWITCH "/.lossy"
#define MAX_FILE (256u << 20)
#define MAX_NAMES 4096

struct node;

struct name {
	char text[256];
	struct node *node;
};

struct names {
	struct name *list;
	size_t count;
};

/* One change of a folder that happens whole or not at all. */
struct change {
	char removed[256];
	char added[256];
	struct node *node;
};

struct bytes {
	uint8_t *data;
	size_t size, room;
};

struct node {
	ino_t number;
	mode_t mode;
	/* A file: as it reads now, and as it is on the disk. */
	struct bytes now, disk;
	size_t dirty_from, dirty_to;
	/* A folder, likewise; changes lead from the one to the other. */
	struct names names, disk_names;
	struct change *changes;
	size_t change_count;
};

static struct node *root;
static ino_t last_number;
static uint64_t changes, cut_at, random_state;
static bool cut_after, dead;

static void *grown(void *old, size_t bytes)
{
	void *grown = realloc(old, bytes ? bytes : 1);
	if (!grown)
		abort();
	return grown;
}

static uint32_t random_number(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33);
}

static struct node *new_node(mode_t mode)
{
	struct node *node = calloc(1, sizeof *node);
	if (!node)
		abort();
	node->number = ++last_number;
	node->mode = mode;
	return node;
}

/* ---- bytes ---- */

static void resize(struct bytes *bytes, size_t size)
{
	if (size > bytes->room) {
		bytes->room = size * 2;
		bytes->data = grown(bytes->data, bytes->room);
	}
	if (size > bytes->size)
		memset(bytes->data + bytes->size, 0, size - bytes->size);
	bytes->size = size;
}

static void soil(struct node *node, size_t from, size_t to)
{
	if (from < node->dirty_from)
		node->dirty_from = from;
	if (to > node->dirty_to)
		node->dirty_to = to;
}

static void sync_bytes(struct node *node)
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

static struct name *find_name(struct names *names, const char *text)
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

static void change_names(struct node *folder, const char *removed, const char *added, struct node *node)
{
	struct change change = {.node = node};
	strcpy(change.removed, removed);
	strcpy(change.added, added);
	apply(&folder->names, &change);
	folder->changes = grown(folder->changes, (folder->change_count + 1) * sizeof change);
	folder->changes[folder->change_count++] = change;
}

static void sync_names(struct node *folder, size_t count)
{
	for (size_t i = 0; i < count; i++)
		apply(&folder->disk_names, &folder->changes[i]);
	folder->change_count = 0;
}

static void lose(struct node *node, bool all)
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

/* ---- the power ---- */

/* Whether the change may be made. The one that meets the cut is killed before it learns anything. */
static int begin_change(void)
{
	if (dead)
		return -EIO;
	if (++changes == cut_at && !cut_after) {
		lose(root, random_state == 0);
		dead = true;
		kill(fuse_get_context()->pid, SIGKILL);
		return -EIO;
	}
	return 0;
}

static int end_change(int result)
{
	if (changes == cut_at && cut_after && !dead) {
		lose(root, random_state == 0);
		dead = true;
		kill(fuse_get_context()->pid, SIGKILL);
		return -EIO;
	}
	return result;
}

static int turn_switch(const char *text, size_t size)
{
	char command[128] = {0}, when[16] = {0};
	unsigned long long in, seed;
	memcpy(command, text, size < sizeof command - 1 ? size : sizeof command - 1);
	if (strncmp(command, "on", 2) == 0) {
		dead = false;
		cut_at = 0;
		return (int)size;
	}
	if (sscanf(command, "cut %llu %15s %llu", &in, when, &seed) != 3 || in == 0)
		return -EINVAL;
	cut_at = changes + in;
	cut_after = strcmp(when, "after") == 0;
	random_state = seed;
	return (int)size;
}

/* ---- paths ---- */

/* The folder a path lies in, and its last name. */
static int walk(const char *path, struct node **folder, const char **last)
{
	struct node *at = root;
	for (path++;;) {
		const char *slash = strchr(path, '/');
		if (!slash)
			break;
		char text[256];
		if ((size_t)(slash - path) >= sizeof text)
			return -ENAMETOOLONG;
		memcpy(text, path, slash - path);
		text[slash - path] = 0;
		struct name *name = find_name(&at->names, text);
		if (!name)
			return -ENOENT;
		at = name->node;
		if (!S_ISDIR(at->mode))
			return -ENOTDIR;
		path = slash + 1;
	}
	if (strlen(path) > 255)
		return -ENAMETOOLONG;
	*folder = at;
	*last = path;
	return 0;
}

static struct node *find(const char *path, int *error)
{
	struct node *folder;
	const char *last;
	if (strcmp(path, "/") == 0)
		return root;
	*error = dead ? -EIO : walk(path, &folder, &last);
	if (*error)
		return NULL;
	struct name *name = find_name(&folder->names, last);
	*error = -ENOENT;
	return name ? name->node : NULL;
}

static int make(const char *path, mode_t mode, struct node **made)
{
	struct node *folder;
	const char *last;
	int error = begin_change();
	if (error || (error = walk(path, &folder, &last)))
		return error;
	if (find_name(&folder->names, last))
		return -EEXIST;
	if (folder->names.count >= MAX_NAMES)
		return -ENOSPC;
	struct node *node = new_node(mode);
	change_names(folder, "", last, node);
	if (made)
		*made = node;
	return end_change(0);
}

static int take_away(const char *path, bool folders)
{
	struct node *folder;
	const char *last;
	int error = begin_change();
	if (error || (error = walk(path, &folder, &last)))
		return error;
	struct name *name = find_name(&folder->names, last);
	if (!name)
		return -ENOENT;
	if (folders && name->node->names.count > 0)
		return -ENOTEMPTY;
	char text[256];
	strcpy(text, last);
	change_names(folder, text, "", NULL);
	return end_change(0);
}

/* ---- what the kernel asks ---- */

static bool is_switch(const char *path)
{
	return path && strcmp(path, SWITCH) == 0;
}

static struct node *node_of(const char *path, struct fuse_file_info *file, int *error)
{
	if (file && file->fh) {
		*error = dead ? -EIO : 0;
		return dead ? NULL : (struct node *)(uintptr_t)file->fh;
	}
	return find(path, error);
}

static int on_getattr(const char *path, struct stat *facts, struct fuse_file_info *file)
{
	int error = 0;
	memset(facts, 0, sizeof *facts);
	if (is_switch(path)) {
		facts->st_mode = S_IFREG | 0600;
		facts->st_nlink = 1;
		facts->st_size = 64;
		return 0;
	}
	struct node *node = node_of(path, file, &error);
	if (!node)
		return error;
	facts->st_ino = node->number;
	facts->st_mode = node->mode;
	facts->st_nlink = S_ISDIR(node->mode) ? 2 : 1;
	facts->st_uid = getuid();
	facts->st_gid = getgid();
	facts->st_size = (off_t)node->now.size;
	facts->st_blocks = (off_t)((node->now.size + SECTOR - 1) / SECTOR);
	return 0;
}

static int on_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *file, enum fuse_readdir_flags flags)
{
	int error = 0;
	(void)offset, (void)file, (void)flags;
	struct node *node = find(path, &error);
	if (!node)
		return error;
	fill(buffer, ".", NULL, 0, 0);
	fill(buffer, "..", NULL, 0, 0);
	for (size_t i = 0; i < node->names.count; i++)
		fill(buffer, node->names.list[i].text, NULL, 0, 0);
	return 0;
}

static int on_open(const char *path, struct fuse_file_info *file)
{
	int error = 0;
	if (is_switch(path))
		return 0;
	struct node *node = find(path, &error);
	if (!node)
		return error;
	file->fh = (uintptr_t)node;
	return 0;
}

static int on_create(const char *path, mode_t mode, struct fuse_file_info *file)
{
	struct node *node = NULL;
	int error = make(path, (mode & 07777) | S_IFREG, &node);
	if (!error)
		file->fh = (uintptr_t)node;
	return error;
}

static int on_mknod(const char *path, mode_t mode, dev_t device)
{
	(void)device;
	return make(path, mode, NULL);
}

static int on_mkdir(const char *path, mode_t mode)
{
	return make(path, (mode & 07777) | S_IFDIR, NULL);
}

static int on_unlink(const char *path)
{
	return take_away(path, false);
}

static int on_rmdir(const char *path)
{
	return take_away(path, true);
}

static int on_rename(const char *from, const char *to, unsigned int flags)
{
	struct node *old_folder, *new_folder;
	const char *old_name, *new_name;
	int error = begin_change();
	if (error || (error = walk(from, &old_folder, &old_name)) || (error = walk(to, &new_folder, &new_name)))
		return error;
	struct name *name = find_name(&old_folder->names, old_name);
	if (!name)
		return -ENOENT;
	if (flags && find_name(&new_folder->names, new_name))
		return -EEXIST;
	struct node *node = name->node;
	if (old_folder == new_folder) {
		change_names(old_folder, old_name, new_name, node);
	} else {
		change_names(new_folder, "", new_name, node);
		change_names(old_folder, old_name, "", NULL);
	}
	return end_change(0);
}

static int on_read(const char *path, char *buffer, size_t size, off_t offset, struct fuse_file_info *file)
{
	int error = 0;
	if (is_switch(path)) {
		char text[64];
		int length = snprintf(text, sizeof text, "changes %llu dead %d\n", (unsigned long long)changes, dead);
		if (offset >= length)
			return 0;
		size_t rest = (size_t)(length - offset);
		memcpy(buffer, text + offset, rest < size ? rest : size);
		return (int)(rest < size ? rest : size);
	}
	struct node *node = node_of(path, file, &error);
	if (!node)
		return error;
	if ((size_t)offset >= node->now.size)
		return 0;
	size_t rest = node->now.size - (size_t)offset;
	memcpy(buffer, node->now.data + offset, rest < size ? rest : size);
	return (int)(rest < size ? rest : size);
}

static int on_write(const char *path, const char *buffer, size_t size, off_t offset, struct fuse_file_info *file)
{
	int error = 0;
	if (is_switch(path))
		return turn_switch(buffer, size);
	if ((error = begin_change()))
		return error;
	struct node *node = node_of(path, file, &error);
	if (!node)
		return error;
	if ((size_t)offset + size > MAX_FILE)
		return -EFBIG;
	if ((size_t)offset + size > node->now.size)
		resize(&node->now, (size_t)offset + size);
	memcpy(node->now.data + offset, buffer, size);
	soil(node, (size_t)offset, (size_t)offset + size);
	return end_change((int)size);
}

static int on_truncate(const char *path, off_t size, struct fuse_file_info *file)
{
	int error = 0;
	if (is_switch(path))
		return 0;
	if ((error = begin_change()))
		return error;
	struct node *node = node_of(path, file, &error);
	if (!node)
		return error;
	if ((size_t)size > MAX_FILE)
		return -EFBIG;
	size_t before = node->now.size;
	resize(&node->now, (size_t)size);
	if ((size_t)size > before)
		soil(node, before, (size_t)size);
	return end_change(0);
}

static int on_fsync(const char *path, int data_only, struct fuse_file_info *file)
{
	int error = begin_change();
	(void)data_only;
	if (error)
		return error;
	struct node *node = node_of(path, file, &error);
	if (!node)
		return error;
	sync_bytes(node);
	return end_change(0);
}

static int on_fsyncdir(const char *path, int data_only, struct fuse_file_info *file)
{
	int error = begin_change();
	(void)data_only, (void)file;
	if (error)
		return error;
	struct node *node = find(path, &error);
	if (!node)
		return error;
	sync_names(node, node->change_count);
	return end_change(0);
}

static int on_chmod(const char *path, mode_t mode, struct fuse_file_info *file)
{
	int error = 0;
	struct node *node = node_of(path, file, &error);
	if (!node)
		return error;
	node->mode = (node->mode & S_IFMT) | (mode & 07777);
	return 0;
}

static int on_chown(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *file)
{
	int error = 0;
	(void)uid, (void)gid;
	return node_of(path, file, &error) ? 0 : error;
}

static int on_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *file)
{
	int error = 0;
	(void)times;
	return node_of(path, file, &error) ? 0 : error;
}

static void *on_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
	(void)connection;
	/* No caches above: what is lost here must not be read there. */
	config->direct_io = 1;
	config->use_ino = 1;
	config->hard_remove = 1;
	config->entry_timeout = config->negative_timeout = config->attr_timeout = 0;
	/* The kernel has met us: whoever waits for this line may use the folder. */
	puts("ready");
	fflush(stdout);
	return NULL;
}

static const struct fuse_operations operations = {
	.init = on_init,
	.getattr = on_getattr,
	.readdir = on_readdir,
	.open = on_open,
	.create = on_create,
	.mknod = on_mknod,
	.mkdir = on_mkdir,
	.unlink = on_unlink,
	.rmdir = on_rmdir,
	.rename = on_rename,
	.read = on_read,
	.write = on_write,
	.truncate = on_truncate,
	.fsync = on_fsync,
	.fsyncdir = on_fsyncdir,
	.chmod = on_chmod,
	.chown = on_chown,
	.utimens = on_utimens,
};

int main(int count, char **words)
{
	if (count != 2) {
		fprintf(stderr, "usage: lossy-fs MOUNTPOINT\n");
		return 64;
	}
	root = new_node(S_IFDIR | 0700);
	/* One thread: changes happen in an order. In the foreground: it ends with whoever started it. */
	char *arguments[] = {words[0], "-s", "-f", words[1], NULL};
	return fuse_main(4, arguments, &operations, NULL);
}
