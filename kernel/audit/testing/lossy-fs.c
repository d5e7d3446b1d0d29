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
#include "lossy-fs.h"

#include <fuse.h>
#include <stdio.h>
#include <unistd.h>

#define SWITCH "/.lossy"
#define MAX_FILE (256u << 20)

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
