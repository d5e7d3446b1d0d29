/* The power, which fails at a change, and the changes of names that paths ask for. */
#include "lossy-fs.h"

#include <fuse.h>
#include <signal.h>
#include <stdio.h>

struct node *root;
uint64_t changes;
bool dead;
static uint64_t cut_at;
static bool cut_after;

/* ---- the power ---- */

/* Whether the change may be made. The one that meets the cut is killed before it learns anything. */
int begin_change(void)
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

int end_change(int result)
{
	if (changes == cut_at && cut_after && !dead) {
		lose(root, random_state == 0);
		dead = true;
		kill(fuse_get_context()->pid, SIGKILL);
		return -EIO;
	}
	return result;
}

int turn_switch(const char *text, size_t size)
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
int walk(const char *path, struct node **folder, const char **last)
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

struct node *find(const char *path, int *error)
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

int make(const char *path, mode_t mode, struct node **made)
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

int take_away(const char *path, bool folders)
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
