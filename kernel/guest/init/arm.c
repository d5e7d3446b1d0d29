#include "arm.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "fuse.h"
#include "loopback.h"
#include "mounts.h"
#include "net.h"
#include "opens.h"
#include "proof.h"
#include "sessions.h"
#include "system.h"

/* What ARMED names. Without the rights (user, capabilities, system call filter), tried in a child too, it is not sent at all. */
static const char *const fences[] = {AUTHORITY_FENCE_ROOT, AUTHORITY_FENCE_SCRATCH, AUTHORITY_FENCE_FUSE, AUTHORITY_FENCE_LOOPBACK, AUTHORITY_FENCE_FANOTIFY};

static bool identity(const struct setup *setup, struct fault *fault)
{
	if (add_entropy(setup->entropy) != 0)
		return fault_set(fault, "entropy", "the random generator takes no seed");
	if (set_clock(setup->seconds, setup->nanoseconds) != 0)
		return fault_set(fault, "clock", "the clock cannot be set");
	if (sethostname(setup->hostname, strlen(setup->hostname)) != 0)
		return fault_set(fault, "hostname", "the name cannot be set");
	return true;
}

static bool network(struct fault *fault)
{
	if (loopback_up() != 0)
		return fault_set(fault, "loopback", "the loopback interface cannot be switched on");
	return net_arm(fault);
}

/* Set once, for the whole guest, behind the agent's own filter; a kernel without the switch (ENOENT) lacks what it switches off. */
static bool switches(struct fault *fault)
{
	static const char *const set[][2] = {
		{"/proc/sys/kernel/modules_disabled", "1"}, {"/proc/sys/kernel/kexec_load_disabled", "1"}, {"/proc/sys/user/max_user_namespaces", "0"},
		{"/proc/sys/kernel/dmesg_restrict", "1"},   {"/proc/sys/kernel/kptr_restrict", "2"},
	};
	for (size_t i = 0; i < sizeof set / sizeof *set; i++)
		if (write_file(set[i][0], set[i][1]) != 0 && errno != ENOENT)
			return fault_set(fault, "switches", "%s cannot be set", set[i][0]);
	return true;
}

/*
 * Without swap, an agent that eats all memory makes the kernel read program pages again and again instead of killing anyone: the machine crawls for
 * minutes. The multi-generation LRU kills when the pages used within the last second no longer fit. A kernel without it only loses that.
 */
static void prefer_kill_to_thrash(void)
{
	if (write_file("/sys/kernel/mm/lru_gen/enabled", "y") != 0 || write_file("/sys/kernel/mm/lru_gen/min_ttl_ms", "1000") != 0)
		log_line("no protection against thrashing: errno %d", errno);
}

bool arm(const struct setup *setup, struct fault *fault)
{
	int image = -1;
	/* Scratch before host mounts, so that a host mount may lie in a scratch folder; the watch over the image after everything that opens it. */
	bool armed = identity(setup, fault) && mounts_image(&image, fault) && mounts_system(fault) && mounts_scratch(setup, fault) &&
		     fuse_mount(setup, fault) && network(fault) && switches(fault) && sessions_open(fault) && opens_arm(image, fault) && proof_run(image, fault);
	if (image >= 0)
		close(image);
	prefer_kill_to_thrash();
	if (armed)
		send_armed(fences, sizeof fences / sizeof *fences);
	return armed;
}
