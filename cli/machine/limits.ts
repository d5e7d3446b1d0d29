/** Bounds of the machine library, each with its unit and why. */

/** MiB of guest memory: below this the stock kernel does not reach init; above, a typing error is likelier than a wish. */
export const MIN_MEMORY_MIB = 64
export const MAX_MEMORY_MIB = 1024 * 1024
/** Virtual CPUs: QEMU's `pc` machine ends at 255. */
export const MAX_CPUS = 255
/** Bytes of QEMU's standard error kept for a report. */
export const MAX_STDERR_BYTES = 16 * 1024
/** ms from spawning the cell to the third connected port; QEMU needs about 30. */
export const CONNECT_DEADLINE_MS = 20_000
/** ms between asking a cell to end and killing its launcher. */
export const KILL_GRACE_MS = 2_000
/** ms in which a kernel must have booted for an accelerator to count as working; tcg needs about 2,000. */
export const PROBE_DEADLINE_MS = 10_000
/** Bytes of console output an accelerator probe keeps. */
export const MAX_PROBE_OUTPUT_BYTES = 256 * 1024
/** Bytes of a unix socket path (sun_path holds 108 with its NUL). */
export const MAX_SOCKET_PATH_BYTES = 107
/** Bytes of a kernel, before and after decompression. */
export const MAX_KERNEL_BYTES = 256 * 1024 * 1024
/** Bytes of one kernel module. */
export const MAX_MODULE_BYTES = 32 * 1024 * 1024
/** Bytes of an init program. */
export const MAX_INIT_BYTES = 16 * 1024 * 1024
/** Bytes of free disk space a first start needs: package, unpacked modules, vmlinux, image. */
export const MIN_FREE_BYTES = 512 * 1024 * 1024
/** ms for which a failed accelerator probe is believed. */
export const NEGATIVE_VERDICT_MS = 24 * 60 * 60_000
