/** Every bound of the capability stage; each is enforced before anything is allocated, hashed or kept. */

/** Bytes of a decoded token. */
export const MAX_TOKEN_BINARY_BYTES = 4096
/** Blocks of one token, the grant included. */
export const MAX_BLOCKS = 16
/** Patterns in one section of one block: what the policy loader allows per list. */
export const MAX_PATTERNS = 256
/** UTF-8 bytes of one pattern. */
export const MAX_PATTERN_BYTES = 2048
/** Uses a block may state. */
export const MAX_USES = Number.MAX_SAFE_INTEGER
/** Rate: events per period, length of the period in ms (one day), events at once. Their products stay far below 2^53. */
export const MAX_RATE_COUNT = 10_000
export const MAX_RATE_PERIOD_MS = 86_400_000
export const MAX_RATE_BURST = 10_000
/** Block ids a run keeps state for at once: those that count something, and the blocks of all tokens that handles hold. */
export const MAX_LIVE_BLOCKS = 10_000
/** Revoked ids a run remembers; an operator's own doing, never forgotten, so the bound is only a guard against a runaway script. */
export const MAX_REVOKED = 1_000_000
/** Verified tokens that are remembered, each with its bytes; a power of two. */
export const MAX_VERIFIED = 1024
/** Roots that are remembered, each with its header and block; a power of two, up to 256. */
export const MAX_KNOWN_ROOTS = 64
/** Handles one session and the whole run may hold. */
export const MAX_SESSION_HANDLES = 256
export const MAX_HANDLES = 4096
/** Greatest handle number (u32 on the wire); numbers are never given twice. */
export const MAX_HANDLE_NUMBER = 0xffff_ffff
/** ms since the epoch of 9999-12-31T23:59:59.999Z, the last instant RFC 3339 can write. */
export const MAX_TIME_MS = 253_402_300_799_999
