/** Bounds of the token format (kernel/capability/FORMAT.md). */

/** Bytes of a decoded token. */
export const MAX_TOKEN_BINARY_BYTES = 4096
/** Blocks of one token, the grant included. */
export const MAX_BLOCKS = 16
/** Patterns in one section of one block. */
export const MAX_PATTERNS = 256
/** UTF-8 bytes of one pattern. */
export const MAX_PATTERN_BYTES = 2048
export const MAX_RATE_COUNT = 10_000
/** ms: one day. */
export const MAX_RATE_PERIOD_MS = 86_400_000
export const MAX_RATE_BURST = 10_000
/** ms since the epoch of 9999-12-31T23:59:59.999Z. */
export const MAX_TIME_MS = 253_402_300_799_999
