/*
 * The agent's system call filter: a first line inside the VM (the wall is the VM). It refuses what could loosen the other fences of the guest, and
 * the parts of the kernel that need no path to be attacked. Ordinary programs do not notice it.
 */
#include "seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "system_calls.h"

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
/* Bit of an x32 call number: a second ABI behind the same architecture value. */
#define FOREIGN_CALL_BIT 0x40000000u
#elif defined(__aarch64__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#else
#error "no system call filter for this architecture"
#endif

#define MAX_INSTRUCTIONS 512

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
/* clone(2) has its exit signal where unshare(2) has CLONE_NEWTIME. */
#define CLONE_NEW_ANY (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

struct program {
	struct sock_filter code[MAX_INSTRUCTIONS];
	unsigned short length;
	bool full;
};

static void add(struct program *program, struct sock_filter instruction)
{
	if (program->length == MAX_INSTRUCTIONS)
		program->full = true;
	else
		program->code[program->length++] = instruction;
}

static void load(struct program *program, size_t offset)
{
	add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

/* The low half of an argument: both architectures are little-endian, and the kernel reads these arguments as 32 bits. */
static void load_argument(struct program *program, unsigned index)
{
	load(program, offsetof(struct seccomp_data, args) + 8 * index);
}

static void finish(struct program *program, uint32_t action)
{
	add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* Skips `count` instructions unless the loaded value compares true. */
static void unless(struct program *program, uint16_t comparison, uint32_t value, uint8_t count)
{
	add(program, (struct sock_filter)BPF_JUMP((uint16_t)(BPF_JMP | comparison | BPF_K), value, 0, count));
}

static void refuse(struct program *program, uint32_t call, uint32_t error)
{
	unless(program, BPF_JEQ, call, 1);
	finish(program, SECCOMP_RET_ERRNO | error);
}

/* Leaves the call number loaded for what follows. */
static void check_abi(struct program *program)
{
	load(program, offsetof(struct seccomp_data, arch));
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0));
	finish(program, SECCOMP_RET_KILL_PROCESS);
	load(program, offsetof(struct seccomp_data, nr));
#ifdef FOREIGN_CALL_BIT
	unless(program, BPF_JSET, FOREIGN_CALL_BIT, 1);
	finish(program, SECCOMP_RET_KILL_PROCESS);
#endif
}

static void refuse_namespaces(struct program *program, uint32_t call, uint32_t flags)
{
	unless(program, BPF_JEQ, call, 4);
	load_argument(program, 0);
	unless(program, BPF_JSET, flags, 1);
	finish(program, SECCOMP_RET_ERRNO | EPERM);
	finish(program, SECCOMP_RET_ALLOW);
}

/*
 * Sockets: local ones, IPv4 and IPv6, which lead to loopback only, and NETLINK_ROUTE: without capabilities it only lists interfaces, and getifaddrs
 * (os.networkInterfaces of Node, Go's net.Interfaces) fails without it. AF_VSOCK would be another way to the host. The answer is the one a kernel
 * without the family gives.
 */
static void limit_sockets(struct program *program)
{
	static const uint32_t families[] = {AF_UNIX, AF_INET, AF_INET6};
	unless(program, BPF_JEQ, SYS_socket, 6 + 2 * sizeof families / sizeof *families);
	load_argument(program, 0);
	for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
		unless(program, BPF_JEQ, families[i], 1);
		finish(program, SECCOMP_RET_ALLOW);
	}
	unless(program, BPF_JEQ, AF_NETLINK, 3);
	load_argument(program, 2);
	unless(program, BPF_JEQ, 0 /* NETLINK_ROUTE */, 1);
	finish(program, SECCOMP_RET_ALLOW);
	finish(program, SECCOMP_RET_ERRNO | EAFNOSUPPORT);
}

int seccomp_install(void)
{
	static struct program program;
	program.length = 0;
	check_abi(&program);
	for (size_t i = 0; i < REFUSED_CALLS; i++)
		refuse(&program, (uint32_t)refused_calls[i], EPERM);
	/* Its flags stand in memory a filter cannot read; libraries fall back to clone on ENOSYS. */
	refuse(&program, SYS_clone3, ENOSYS);
	refuse_namespaces(&program, SYS_clone, CLONE_NEW_ANY);
	refuse_namespaces(&program, SYS_unshare, CLONE_NEW_ANY | CLONE_NEWTIME);
	limit_sockets(&program);
	finish(&program, SECCOMP_RET_ALLOW);
	if (program.full) {
		errno = E2BIG;
		return -1;
	}
	struct sock_fprog loaded = {.len = program.length, .filter = program.code};
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &loaded);
}
