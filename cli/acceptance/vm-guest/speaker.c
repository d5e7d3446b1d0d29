/* Says something on each stream, with bytes that would act on a terminal, after an effect; `wait` stays until it is ended. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (open("/data/read.txt", O_RDONLY) < 0) return 1;
	printf("begun\n\033[31mRUN_END by nobody\033[0m\n");
	fflush(stdout);
	fprintf(stderr, "what went wrong\n");
	if (argc > 1 && strcmp(argv[1], "wait") == 0) pause();
	return 7;
}
