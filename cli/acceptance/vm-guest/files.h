/* File operations of every kind in the working folder: printed the same in the guest on a mount and on the host in a plain folder. */
static void stat_of(const char *probe, const char *path) {
    struct stat s;
    if (lstat(path, &s) < 0) say(probe, "%s", name_of(errno));
    else say(probe, "type %o mode %o size %lld links %d", s.st_mode & S_IFMT, s.st_mode & 07777, S_ISREG(s.st_mode) ? (long long)s.st_size : 0LL, S_ISREG(s.st_mode) ? (int)s.st_nlink : 0);
}

/* The same in the guest on a mount and on the host in a plain folder. */
static void files(void) {
    char bytes[64] = "";
    struct stat s;
    umask(022);
    int fd = open("f", O_RDWR | O_CREAT | O_EXCL, 0640);
    TRY("create", fd);
    TRY("create again exclusively", open_close("f", O_WRONLY | O_CREAT | O_EXCL));
    say("write", "%zd", write(fd, "hello world", 11));
    say("pwrite", "%zd", pwrite(fd, "HELLO", 5, 0));
    say("pread", "%zd %.11s", pread(fd, bytes, 11, 0), bytes);
    say("pread past the end", "%zd", pread(fd, bytes, 11, 4096));
    say("seek", "%lld", (long long)lseek(fd, 0, SEEK_END));
    TRY("fsync", fsync(fd));
    TRY("fdatasync", fdatasync(fd));
    TRY("ftruncate", ftruncate(fd, 5));
    if (fstat(fd, &s) == 0) say("fstat", "%lld", (long long)s.st_size);
    TRY("close", close(fd));
    stat_of("stat", "f");
    fd = open("f", O_WRONLY | O_APPEND);
    say("append", "%zd", write(fd, "+more", 5));
    say("append at an offset", "%zd", pwrite(fd, "!", 1, 0));
    close(fd);
    say("content", "%s", content("f"));
    TRY("truncate longer", truncate("f", 20));
    stat_of("stat longer", "f");
    TRY("open with O_TRUNC", open_close("f", O_WRONLY | O_TRUNC));
    stat_of("stat truncated", "f");
    TRY("mkdir", mkdir("d", 0750));
    TRY("mkdir again", mkdir("d", 0750));
    stat_of("stat directory", "d");
    TRY("rename into", rename("f", "d/g"));
    TRY("rename of nothing", rename("f", "d/h"));
    stat_of("stat renamed", "d/g");
    TRY("rmdir not empty", rmdir("d"));
    TRY("open a directory for writing", open_close("d", O_WRONLY));
    TRY("open below a file", open_close("d/g/x", O_RDONLY));
    TRY("unlink a directory", unlink("d"));
    TRY("rmdir a file", rmdir("d/g"));
    for (int i = 0; i < 300; i++) {
        char name[64];
        snprintf(name, sizeof name, "d/entry-%03d-%.*s", i, i % 40, "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn");
        if (open_close(name, O_WRONLY | O_CREAT) < 0) say("many", "%s", name_of(errno));
    }
    list("d");
    TRY("chmod", chmod("d/g", 0600));
    stat_of("stat chmod", "d/g");
    struct timespec times[2] = {{1000000000, 123456000}, {1234567890, 987654000}};
    TRY("utimens", utimensat(AT_FDCWD, "d/g", times, 0));
    stat("d/g", &s);
    say("times", "%lld.%09ld", (long long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
    TRY("rename over", rename("d/entry-000-", "d/g"));
    TRY("exchange", syscall(SYS_renameat2, AT_FDCWD, "d/g", AT_FDCWD, "d/entry-001-n", 2));
    TRY("rename without replacing", syscall(SYS_renameat2, AT_FDCWD, "d/g", AT_FDCWD, "d/entry-001-n", 1));
    TRY("symlink", symlink("d/g", "s"));
    say("readlink", "%zd %.3s", readlink("s", bytes, sizeof bytes), bytes);
    TRY("through the symlink", open_close("s", O_RDONLY));
    TRY("O_NOFOLLOW", open_close("s", O_RDONLY | O_NOFOLLOW));
    TRY("link", link("d/g", "hard"));
    stat_of("stat linked", "hard");
    TRY("fsync of a directory", fsync(open("d", O_RDONLY | O_DIRECTORY)));
    TRY("name with a newline", open_close("line\nfeed", O_WRONLY | O_CREAT));
    TRY("name of 256 bytes", open_close("0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
        "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345", O_WRONLY | O_CREAT));
    TRY("access of nothing", access("none", F_OK));
    TRY("stat of nothing", stat("none", &s));
    fd = open("unlinked", O_RDWR | O_CREAT, 0600);
    unlink("unlinked");
    say("write to an unlinked file", "%zd", write(fd, "x", 1));
    say("read of an unlinked file", "%zd", pread(fd, bytes, 1, 0));
    close(fd);
    list(".");
    static char big[1 << 20];
    for (size_t i = 0; i < sizeof big; i++) big[i] = (char)(i * 7);
    fd = open("big", O_RDWR | O_CREAT, 0644);
    TRY("fallocate", fallocate(fd, 0, 0, 4096));
    stat_of("stat allocated", "big");
    say("write 1 MiB", "%zd", write(fd, big, sizeof big));
    static char back[1 << 20];
    ssize_t got = 0, n;
    while ((n = pread(fd, back + got, sizeof back - (size_t)got, got)) > 0) got += n;
    say("read 1 MiB", "%zd %s", got, memcmp(big, back, sizeof big) ? "different" : "same");
    close(fd);
}
