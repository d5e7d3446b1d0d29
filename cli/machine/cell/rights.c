/* What the program in the cell may no longer do. */
#define _GNU_SOURCE
#include "cell.h"
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

void drop_rights(const struct identity *who) {
    for (int capability = 0; capability <= 63; capability++)
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) && errno != EINVAL) die_errno("PR_CAPBSET_DROP");
    if (who->root) {
        if (setgroups(0, NULL)) die_errno("setgroups");
        if (setresgid(who->gid, who->gid, who->gid) || setresuid(who->uid, who->uid, who->uid)) {
            /* EINVAL: a user namespace without that uid. 65534 is there whenever root is more than alone. */
            if (errno != EINVAL) die_errno("changing the uid");
            if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)) die_errno("changing the uid");
        }
    }
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {0};
    if (syscall(SYS_capset, &header, none)) die_errno("capset");
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)) die_errno("PR_CAP_AMBIENT");
    if (geteuid() == 0 || getegid() == 0) die("still root after dropping rights");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) die_errno("PR_SET_NO_NEW_PRIVS");
}

static void limit(int resource, rlim_t value) {
    struct rlimit both = {value, value};
    if (setrlimit(resource, &both)) die_errno("setrlimit");
}

/* `file_bytes`: the guest's memory where it is shared, which is a file without a name; nothing else in the cell could grow. */
void limit_resources(rlim_t file_bytes, int devices) {
    limit(RLIMIT_CORE, 0); /* guest memory on the host's disk */
    limit(RLIMIT_FSIZE, file_bytes);
    limit(RLIMIT_NOFILE, 256 + 16 * (rlim_t)devices); /* two queues of a device have four eventfds each */
    limit(RLIMIT_MSGQUEUE, 0);
    limit(RLIMIT_NPROC, 256); /* threads; counted in the cell alone: an own uid, or an own user namespace (Linux 5.14) */
}

#define DENY(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#else
#error "no system call table for this architecture"
#endif
#define NAMESPACES (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

/* Beside QEMU's own -sandbox: kernel interfaces a machine emulator never needs and an escape would start from. */
void forbid_system_calls(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#if defined(__x86_64__)
        /* x32 calls share the architecture but not the numbers. */
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
#endif
        DENY(SYS_mount), DENY(SYS_umount2), DENY(SYS_pivot_root), DENY(SYS_chroot), DENY(SYS_unshare), DENY(SYS_setns),
        DENY(SYS_open_tree), DENY(SYS_move_mount), DENY(SYS_fsopen), DENY(SYS_fsconfig), DENY(SYS_fsmount), DENY(SYS_fspick), DENY(SYS_mount_setattr),
        DENY(SYS_ptrace), DENY(SYS_process_vm_readv), DENY(SYS_process_vm_writev), DENY(SYS_pidfd_getfd), DENY(SYS_kcmp),
        DENY(SYS_bpf), DENY(SYS_perf_event_open), DENY(SYS_userfaultfd),
        DENY(SYS_io_uring_setup), DENY(SYS_io_uring_enter), DENY(SYS_io_uring_register),
        DENY(SYS_add_key), DENY(SYS_request_key), DENY(SYS_keyctl),
        DENY(SYS_init_module), DENY(SYS_finit_module), DENY(SYS_delete_module), DENY(SYS_kexec_load),
        DENY(SYS_open_by_handle_at), DENY(SYS_name_to_handle_at), DENY(SYS_acct), DENY(SYS_swapon), DENY(SYS_reboot),
        DENY(SYS_socket), DENY(SYS_bind), DENY(SYS_listen), DENY(SYS_connect),
        /* clone3 keeps its flags in memory, where a filter cannot look: the C library then uses clone. */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NAMESPACES, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) die_errno("PR_SET_SECCOMP");
}
