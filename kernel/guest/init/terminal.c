#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bounds.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

#define END_OF_TRANSMISSION 4

int terminal_open(int *ours, uid_t owner, uint16_t rows, uint16_t columns)
{
	int unlocked = 0;
	*ours = open(IMAGE_ROOT "/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*ours < 0)
		return -1;
	int theirs = -1;
	if (ioctl(*ours, TIOCSPTLCK, &unlocked) == 0)
		theirs = ioctl(*ours, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (theirs >= 0 && fchown(theirs, owner, (gid_t)-1) == 0) {
		terminal_resize(*ours, rows, columns);
		return theirs;
	}
	int error = errno;
	close(*ours);
	if (theirs >= 0)
		close(theirs);
	errno = error;
	return -1;
}

void terminal_resize(int ours, uint16_t rows, uint16_t columns)
{
	struct winsize size = {.ws_row = rows, .ws_col = columns};
	ioctl(ours, TIOCSWINSZ, &size);
}

void terminal_end_of_file(int ours)
{
	char byte = END_OF_TRANSMISSION;
	ssize_t ignored = write(ours, &byte, 1);
	(void)ignored;
}
