/* Calls refused whatever their arguments. Those an architecture or an older header does not have are left out by name. */
#ifndef AUTHORITY_SYSTEM_CALLS_H
#define AUTHORITY_SYSTEM_CALLS_H

#include <stddef.h>
#include <sys/syscall.h>

#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443
#endif

static const long refused_calls[] = {
	/* The tree of mounts and the root. */
	SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_move_mount, SYS_open_tree, SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick,
	SYS_mount_setattr, SYS_setns, SYS_swapon, SYS_swapoff, SYS_quotactl, SYS_quotactl_fd,
	/* Files past the path and past the open that is asked about. */
	SYS_open_by_handle_at, SYS_fanotify_init, SYS_fanotify_mark, SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register,
	/* Other processes. */
	SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_pidfd_getfd, SYS_kcmp,
	/* Code in the kernel, and the kernel itself. */
	SYS_bpf, SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_kexec_file_load, SYS_userfaultfd, SYS_perf_event_open,
	SYS_add_key, SYS_request_key, SYS_keyctl, SYS_syslog, SYS_reboot, SYS_acct, SYS_vhangup,
	/* Names and clocks. */
	SYS_sethostname, SYS_setdomainname, SYS_settimeofday, SYS_clock_settime,
#ifdef SYS_iopl
	SYS_iopl,
#endif
#ifdef SYS_ioperm
	SYS_ioperm,
#endif
#ifdef SYS_modify_ldt
	SYS_modify_ldt,
#endif
#ifdef SYS_uselib
	SYS_uselib,
#endif
#ifdef SYS_lookup_dcookie
	SYS_lookup_dcookie,
#endif
#ifdef SYS_nfsservctl
	SYS_nfsservctl,
#endif
};

#define REFUSED_CALLS (sizeof refused_calls / sizeof *refused_calls)

#endif
