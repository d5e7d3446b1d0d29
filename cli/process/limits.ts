/** Bounds on helper programs of the host. */

/** Bytes of output of one helper program (apt, ldd, qemu --version) kept. */
export const MAX_PROGRAM_OUTPUT_BYTES = 4 * 1024 * 1024
/** ms for a helper program that touches no network. */
export const PROGRAM_DEADLINE_MS = 30_000
/** ms to wait for another process that does the same piece of work (a download on a slow line). */
export const EXCLUSIVE_DEADLINE_MS = 15 * 60_000
/** ms between two looks at whether it is done. */
export const EXCLUSIVE_POLL_MS = 100
