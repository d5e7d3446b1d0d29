/* What the probe prints, and small ways to look. */
static void say(const char *probe, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void quoted(const char *text) {
    putchar('"');
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < 0x20 || *c >= 0x7f || *c == '"' || *c == '\\') printf("\\u%04x", *c);
        else putchar(*c);
    putchar('"');
}

static void say(const char *probe, const char *format, ...) {
    static char text[1 << 16];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    printf("{\"probe\":"), quoted(probe), printf(",\"got\":"), quoted(text), printf("}\n");
}

static const char *name_of(int error) {
    static const struct { int number; const char *name; } names[] = {
        {0, "ok"}, {EPERM, "EPERM"}, {ENOENT, "ENOENT"}, {EIO, "EIO"}, {EACCES, "EACCES"}, {EEXIST, "EEXIST"}, {EXDEV, "EXDEV"}, {ENOTDIR, "ENOTDIR"},
        {EISDIR, "EISDIR"}, {EINVAL, "EINVAL"}, {ENOSYS, "ENOSYS"}, {EOPNOTSUPP, "EOPNOTSUPP"}, {EROFS, "EROFS"}, {ELOOP, "ELOOP"}, {ENOTEMPTY, "ENOTEMPTY"},
        {EAFNOSUPPORT, "EAFNOSUPPORT"}, {ENODEV, "ENODEV"}, {ENXIO, "ENXIO"}, {ESRCH, "ESRCH"}, {EBADF, "EBADF"}, {EFAULT, "EFAULT"}, {ENAMETOOLONG, "ENAMETOOLONG"},
        {EBUSY, "EBUSY"}, {ENOTTY, "ENOTTY"}, {EILSEQ, "EILSEQ"}, {ETXTBSY, "ETXTBSY"}, {ENODATA, "ENODATA"}, {EAGAIN, "EAGAIN"}, {EOVERFLOW, "EOVERFLOW"}, {E2BIG, "E2BIG"}, {ECONNREFUSED, "ECONNREFUSED"}, {ENETUNREACH, "ENETUNREACH"},
    };
    static char other[32];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == error) return names[i].name;
    snprintf(other, sizeof other, "errno %d", error);
    return other;
}

static const char *result(long value) { return value < 0 ? name_of(errno) : "ok"; }
#define TRY(probe, call) do { errno = 0; say(probe, "%s", result((long)(call))); } while (0)

static long open_close(const char *path, int flags) {
    int fd = open(path, flags, 0644);
    if (fd >= 0) close(fd);
    return fd;
}

static const char *content(const char *path) {
    static char bytes[1 << 15];
    int fd = open(path, O_RDONLY);
    if (fd < 0) return name_of(errno);
    ssize_t n = read(fd, bytes, sizeof bytes - 1);
    int error = errno;
    close(fd);
    if (n < 0) return name_of(error);
    bytes[n] = 0;
    return bytes;
}

static void list(const char *path) {
    char probe[300], text[1 << 15] = "";
    struct dirent **entries;
    snprintf(probe, sizeof probe, "ls %s", path);
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) return say(probe, "%s", name_of(errno));
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        if (strcmp(name, ".") && strcmp(name, "..") && strlen(text) + strlen(name) + 2 < sizeof text) strcat(strcat(text, *text ? " " : ""), name);
    }
    say(probe, "%s", text);
}
