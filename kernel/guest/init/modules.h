#ifndef AUTHORITY_MODULES_H
#define AUTHORITY_MODULES_H

/* Loads the modules /modules/list names, one file name per line, in order; a kernel with everything built in has no list. 0 or -1 with errno. */
int modules_load(void);

#endif
