/** Bytes of a config file. */
export const MAX_CONFIG_BYTES = 1024 * 1024
/** Nesting of a config file; the format itself needs 3. */
export const MAX_CONFIG_DEPTH = 8
/** Arguments an image may always start its program with. */
export const MAX_ARGS = 1024
/** Environment variables of a config. */
export const MAX_ENV = 1024
/** Bytes of one argument or environment variable (Linux MAX_ARG_STRLEN less its NUL). */
export const MAX_ARG_BYTES = 131_071
/** Bytes of a file of certificate authorities, and certificates in all of them. */
export const MAX_AUTHORITY_BYTES = 1024 * 1024
export const MAX_AUTHORITIES = 256
/** Files and folders a config may copy into an image. */
export const MAX_EXTRAS = 1024
/** Bytes of memory a machine may be asked to have, at least and at most. */
export const MIN_MEMORY_BYTES = 64 * 1024 ** 2
export const MAX_MEMORY_BYTES = 1024 * 1024 ** 3
export const MAX_CPUS = 255
/** ms: thirty days, beyond which a time limit is a mistake. */
export const MAX_DURATION_MS = 30 * 24 * 3600 * 1000
