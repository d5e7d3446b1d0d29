/* What the parts of lossy-fs share: files and folders that know what of them is on the disk (lossy-node.c), the power, and paths (lossy-power.c). */
#ifndef LOSSY_FS_H
#define LOSSY_FS_H
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SECTOR 512
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

uint32_t random_number(void);
struct node *new_node(mode_t mode);
void resize(struct bytes *bytes, size_t size);
void soil(struct node *node, size_t from, size_t to);
void sync_bytes(struct node *node);
struct name *find_name(struct names *names, const char *text);
void change_names(struct node *folder, const char *removed, const char *added, struct node *node);
void sync_names(struct node *folder, size_t count);
void lose(struct node *node, bool all);

extern struct node *root;
/* So many changes were made; whether the power is off. */
extern uint64_t changes;
extern bool dead;
/* 0 is for what must be lost whole. */
extern uint64_t random_state;

int begin_change(void);
int end_change(int result);
int turn_switch(const char *text, size_t size);
struct node *find(const char *path, int *error);
int walk(const char *path, struct node **folder, const char **last);
int make(const char *path, mode_t mode, struct node **made);
int take_away(const char *path, bool folders);

#endif
