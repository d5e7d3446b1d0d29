/* An agent that needs five things and tries each, whatever became of the others. Exit code: how many it could not do. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed;

static void did(const char *what, int ok) {
  printf("%s %s\n", ok ? "did" : "could not", what);
  if (!ok) failed++;
}

static int reads(const char *path) {
  char byte;
  int file = open(path, O_RDONLY);
  int ok = file >= 0 && read(file, &byte, 1) == 1;
  if (file >= 0) close(file);
  return ok;
}

static int writes(const char *path) {
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  int ok = file >= 0 && write(file, "x\n", 2) == 2;
  if (file >= 0 && close(file) != 0) ok = 0;
  return ok;
}

int main(void) {
  did("read a", reads("/in/a.txt"));
  did("read b", reads("/in/b.txt"));
  did("write the report", writes("/out/report.txt"));
  did("make a folder", mkdir("/out/log", 0755) == 0);
  did("remove the old report", unlink("/out/old.txt") == 0);
  return failed;
}
