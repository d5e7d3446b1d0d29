/*
 * authority-cell: puts one program (QEMU) in a cell and starts it there.
 *
 *   authority-cell --parent PID [--connect FD PATH]... [--keep FD]... [--ro SOURCE TARGET]... [--dev NAME]...
 *                  [--gate FD PATH --shared BYTES [--files FD MOUNT]...] -- PROGRAM [ARG]...
 *
 * In the cell the program finds a read-only root that holds the named files and nothing else, no network, no other process, no descriptor but 0, 1, 2
 * and the named ones, an unprivileged uid without capabilities, and it dies with whoever started us. Whatever cannot be set up: a line on
 * standard error and exit status 120; the program is then not started.
 *
 * Paths are absolute and hold no symbolic link (the caller resolves them): they are looked up again below the old root.
 */
#define _GNU_SOURCE
#include "cell.h"

static int parse_number(const char *text) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < 0 || value > 0x7fffffff) die("not a number: %s", text);
    return (int)value;
}

static const char *absolute(const char *path) {
    if (path[0] != '/' || strstr(path, "/../") || strlen(path) > 4000) die("not an absolute path: %s", path);
    return path;
}

/* Descriptors we open must land on the numbers the caller named, so those may not be in use by others. */
static int target_fd(const char *text) {
    int fd = parse_number(text);
    if (fd < 3 || fd >= FIRST_OWN_FD) die("descriptor out of range: %s", text);
    return fd;
}

static void keep(struct plan *plan, int fd) {
    if (plan->kept >= MAX_KEPT) die("too many descriptors");
    for (int i = 0; i < plan->kept; i++)
        if (plan->keep[i] == fd) die("descriptor %d named twice", fd);
    plan->keep[plan->kept++] = fd;
}

static struct plan parse(int argc, char **argv) {
    struct plan plan = {0};
    plan.parent = plan.gate = -1;
    int i = 1;
    while (i < argc && strcmp(argv[i], "--")) {
        const char *option = argv[i];
        if (!strcmp(option, "--parent") && i + 1 < argc) {
            plan.parent = parse_number(argv[i + 1]);
            i += 2;
        } else if (!strcmp(option, "--keep") && i + 1 < argc) {
            keep(&plan, target_fd(argv[i + 1]));
            i += 2;
        } else if (!strcmp(option, "--connect") && i + 2 < argc) {
            if (plan.connects >= MAX_CONNECTS) die("too many sockets");
            plan.connect[plan.connects++] = (struct connection){target_fd(argv[i + 1]), absolute(argv[i + 2])};
            keep(&plan, target_fd(argv[i + 1]));
            i += 3;
        } else if (!strcmp(option, "--ro") && i + 2 < argc) {
            if (plan.binds >= MAX_BINDS) die("too many files");
            plan.bind[plan.binds++] = (struct binding){absolute(argv[i + 1]), absolute(argv[i + 2])};
            i += 3;
        } else if (!strcmp(option, "--dev") && i + 1 < argc) {
            if (plan.devices >= MAX_DEVICES || strchr(argv[i + 1], '/')) die("bad device: %s", argv[i + 1]);
            plan.device[plan.devices++] = argv[i + 1];
            i += 2;
        } else if (!strcmp(option, "--gate") && i + 2 < argc) {
            if (plan.gate >= 0 || plan.connects >= MAX_CONNECTS) die("too many sockets");
            plan.gate = target_fd(argv[i + 1]);
            plan.connect[plan.connects++] = (struct connection){plan.gate, absolute(argv[i + 2])};
            i += 3;
        } else if (!strcmp(option, "--shared") && i + 1 < argc) {
            plan.shared = (rlim_t)parse_number(argv[i + 1]) << 20;
            i += 2;
        } else if (!strcmp(option, "--files") && i + 2 < argc) {
            if (plan.files >= MAX_DEVICES_OF_FILES) die("too many mounts");
            plan.files_fd[plan.files] = target_fd(argv[i + 1]);
            keep(&plan, plan.files_fd[plan.files]);
            plan.file[plan.files++].mount = (uint32_t)parse_number(argv[i + 2]);
            i += 3;
        } else {
            die("unknown or incomplete option: %s", option);
        }
    }
    if (i + 1 >= argc) die("no program");
    if (plan.parent < 1) die("no --parent");
    plan.program = argv + i + 1;
    return plan;
}

/* The cell dies with the process that started us. If that one is gone already, the signal would never come. */
static void die_with_parent(int parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL)) die_errno("PR_SET_PDEATHSIG");
    if (getppid() != parent) die("the process that started the cell is gone");
}

static void connect_sockets(const struct plan *plan) {
    for (int i = 0; i < plan->connects; i++) {
        const struct connection *c = &plan->connect[i];
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        if (strlen(c->path) >= sizeof address.sun_path) die("socket path too long: %s", c->path);
        strcpy(address.sun_path, c->path);
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (fd < 0) die_errno("socket");
        if (connect(fd, (struct sockaddr *)&address, sizeof address)) die_errno(c->path);
        if (fd != c->fd) {
            if (dup2(fd, c->fd) < 0) die_errno("dup2");
            close(fd);
        }
    }
}

/* QEMU's end of each pair gets the number the caller named; the pump's lies above all of those. */
static void pair_devices(struct plan *plan) {
    for (int i = 0; i < plan->files; i++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) die_errno("socketpair");
        int own = fcntl(pair[1], F_DUPFD, FIRST_OWN_FD);
        close(pair[1]);
        if (own < 0 || dup2(pair[0], plan->files_fd[i]) < 0) die_errno("dup2");
        if (pair[0] != plan->files_fd[i]) close(pair[0]);
        plan->file[i].socket = own;
    }
}

/* QEMU yields to the gate and to the user's own work. Neither failing weakens anything. */
static void lower_priority(void) {
    struct sched_param none = {0};
    (void)syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &none);
    (void)setpriority(PRIO_PROCESS, 0, 5);
}

/* Closes every descriptor from 3 on that is neither named nor `also`. */
static void close_others(const struct plan *plan, int also) {
    int lowest = 3;
    for (;;) {
        int next = -1; /* the smallest kept descriptor at or above `lowest` */
        for (int i = 0; i < plan->kept; i++)
            if (plan->keep[i] >= lowest && (next < 0 || plan->keep[i] < next)) next = plan->keep[i];
        if (also >= lowest && (next < 0 || also < next)) next = also;
        unsigned last = next < 0 ? ~0u : (unsigned)next - 1;
        if (next != lowest && syscall(SYS_close_range, lowest, last, 0)) die_errno("close_range (Linux 5.9 or newer is needed)");
        if (next < 0) return;
        lowest = next + 1;
    }
}

static volatile sig_atomic_t child_pid;

static void forward(int signal_number) {
    (void)signal_number;
    if (child_pid > 0) kill(child_pid, SIGKILL);
}

/* Outside the cell: waits, ends the program when asked to, and ends as it ended. */
static int wait_for(pid_t child) {
    int status;
    for (;;) {
        pid_t ended = waitpid(-1, &status, 0);
        if (ended == child) break;
        if (ended < 0 && errno != EINTR) die_errno("waitpid");
        /* The pump: without it every open of a host file hangs. */
        if (ended > 0) kill(child, SIGKILL);
    }
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        kill(getpid(), WTERMSIG(status));
        return 128 + WTERMSIG(status);
    }
    return WEXITSTATUS(status);
}

/* Inside: true until the other end of the pipe, held by our parent only, is closed. */
static void check_launcher_alive(int pipe_fd) {
    struct pollfd p = {pipe_fd, POLLIN, 0};
    if (poll(&p, 1, 0) < 0 || (p.revents & (POLLHUP | POLLERR))) _exit(CELL_FAILED);
}

static void run_in_cell(const struct plan *plan, const struct identity *who, int pipe_fd) {
    drop_rights(who);
    /* Changing credentials clears the parent-death signal: set it only now, then look whether the parent lived until here. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL)) die_errno("PR_SET_PDEATHSIG");
    check_launcher_alive(pipe_fd);
    close_others(plan, -1);
    limit_resources(plan->shared, plan->files);
    forbid_system_calls();
    char *environment[] = {"PATH=/nowhere", "LC_ALL=C", NULL};
    execve(plan->program[0], plan->program, environment);
    die_errno(plan->program[0]);
}

/* The pump keeps its own ends and the gate's socket, and has no program but this one. */
static void run_pump(const struct plan *plan, const struct identity *who, int pipe_fd) {
    struct plan own = {0};
    prctl(PR_SET_NAME, "authority-files");
    drop_rights(who);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL)) die_errno("PR_SET_PDEATHSIG");
    check_launcher_alive(pipe_fd);
    keep(&own, plan->gate);
    for (int i = 0; i < plan->files; i++) keep(&own, plan->file[i].socket);
    close_others(&own, -1);
    limit_resources(0, plan->files);
    forbid_system_calls();
    pump_files(plan->gate, plan->file, plan->files);
}

int main(int argc, char **argv) {
    struct plan plan = parse(argc, argv);
    umask(022);
    /* A signal that comes while the cell is made waits until there is a program to end with it. */
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    die_with_parent(plan.parent);
    (void)setsid(); /* a Ctrl-C at the terminal is for the supervisor, not for QEMU */
    lower_priority();
    connect_sockets(&plan);
    pair_devices(&plan);
    struct identity who = choose_identity();
    enter_namespaces(&who);
    die_with_parent(plan.parent); /* new credentials may have cleared it */
    build_root(&plan, &who);

    int pipe_fds[2];
    if (pipe(pipe_fds)) die_errno("pipe");
    pid_t child = fork();
    if (child < 0) die_errno("fork");
    if (child == 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        close(pipe_fds[1]);
        run_in_cell(&plan, &who, pipe_fds[0]);
    }
    pid_t pump = plan.files > 0 ? fork() : 0;
    if (pump < 0) die_errno("fork");
    if (pump == 0 && plan.files > 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        close(pipe_fds[1]);
        run_pump(&plan, &who, pipe_fds[0]);
    }
    child_pid = child;
    struct sigaction action = {.sa_handler = forward};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    struct plan nothing = {0};
    close_others(&nothing, pipe_fds[1]);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return wait_for(child);
}
