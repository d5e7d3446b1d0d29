/** Bounds of the verifier, written down again on purpose: it shares nothing with the writer. FORMAT.md is the source of both. */
export const VERSION = 1
export const HEADER = 4096
export const FRAME_HEADER = 48
export const MAX_PAYLOAD = 60 * 1024
export const MAX_SEGMENT = 64 * 1024 * 1024
/** Bytes one flush can have written, and so the longest torn tail. */
export const MAX_TAIL = 4 * 1024 * 1024 + 64 * 1024
export const MAX_FLUSH = 65_535
/** Bytes of a note with the empty line behind it. */
export const MAX_NOTE = 4096
/** Objects and lists within each other in one record, itself counted. */
export const MAX_NESTING = 64
export const MAX_KEY = 1024
export const MAX_OPEN_EFFECTS = 131_072
export const SECTOR = 512
/** Bytes read at once. */
export const WINDOW = 1024 * 1024
/** Names looked at in a folder before it is called hostile. */
export const MAX_NAMES = 2_000_000
/** Time is reserved in slices of this many ms on each CPU and may overshoot by one (INV-3). */
export const TIME_SLICE_MS = 250
export const MAX_CPUS = 1024
/** Findings kept; the first decides. */
export const MAX_WARNINGS = 32
/** Bytes of key.chain: some 100 rotations. */
export const MAX_CHAIN = 64 * 1024
/** Runs one installation log may name before it is called hostile. */
export const MAX_RUNS = 1_048_576
/** Accounts without a limit that are remembered as charged; beyond them no further account may get limits. */
export const MAX_UNLIMITED_ACCOUNTS = 131_072
/** Runs that hold a lease of the shared budget at a time. */
export const MAX_LEASING_RUNS = 16_384
/** Accounts with limits; the gate keeps no more. */
export const MAX_LIMITED_ACCOUNTS = 16_384
/** Runs that ended last, of which it is remembered what of the shared budget they spent: only that can be adjusted. */
export const MAX_ADJUSTABLE_RUNS = 16_384
/** Adjustments of one run. */
export const MAX_ADJUSTMENTS = 4096
