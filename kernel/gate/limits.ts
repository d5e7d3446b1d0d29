/** Bounds of the pipeline and its sessions that are not part of the wire (those stand in protocol/src/limits.ts). */

/** ms an aborted effect has to settle by itself before its outcome is recorded as unknown. */
export const ABORT_GRACE_MS = 2_000
/** ms the end of a session waits for what it has under way: the grace of its effects and time to record them. */
export const SESSION_END_MS = 5_000
/** ms a revocation or another policy waits for what it ended to be closed and recorded. */
export const WITHDRAW_MS = 2_000
/** Distinct denials remembered one by one; further ones are counted together per operation and code. */
export const MAX_DISTINCT_DENIALS = 4096
/** Bytes of the records of distinct denials; past it they are counted together too: long names must not fill the log sooner than short ones. */
export const MAX_DENIAL_BYTES = 16 << 20
/** DENY_REPEAT records written at one flush; the others wait for the next. */
export const MAX_REPEATS_PER_FLUSH = 256
/** Distinct looks counted one by one before a LOOK record is written. */
export const MAX_DISTINCT_LOOKS = 2048
/** Bytes of JSON in one LOOK record: below the log's payload limit with room for the rest. */
export const MAX_LOOK_RECORD_BYTES = 32 * 1024
/** Bytes of LOOK records between two flushes; past it looks are counted without their objects until the next: looking around must not fill the log. */
export const MAX_LOOK_BYTES_PER_FLUSH = 4 << 20
/** Room in the log for a LOOK record beside its entries: frame, stamp, names. */
export const LOOK_RECORD_BYTES = 192
/** Room in the log for a LEASE record, kept before the lease is given. */
export const LEASE_RECORD_BYTES = 256
/** Most bytes of an INTENT beside its texts and blocks; those of an OUTCOME or CLOSE beside its detail: what a token with a log_bytes budget pays for them. */
export const INTENT_RECORD_BYTES = 2048
export const END_RECORD_BYTES = 1024
/** ms between two flushes of LOOK and DENY_REPEAT records. */
export const COALESCE_MS = 5_000
/** Bytes added to a lease when it is renewed: doubles up to the maximum, so that long streams cost few records. */
export const LEASE_STEP_BYTES = 1 << 20
export const MAX_LEASE_STEP_BYTES = 64 << 20
/** Bytes a text may take in a record, written as JSON; a longer one is cut to CLIPPED_TEXT characters and its digest added. Four of them and a fix fit the log's payload. */
export const MAX_RECORD_TEXT = 6000
export const CLIPPED_TEXT = 800
/** Bytes a fix may take in a record, written as JSON; a longer one is left out. */
export const MAX_RECORD_FIX = 24 * 1024
/** Bytes a peer may leave unread before the gate stops reading from it and stops sending it streams. */
export const MAX_UNREAD_BYTES = 4 << 20
/** Bytes agents may have sent that far ends have not taken, over all streams of a run. */
export const MAX_UNTAKEN_BYTES = 64 << 20
/** Bytes that may wait for agents' credit, over all streams of a run; the sockets they came from may hold as much again. */
export const MAX_WAITING_BYTES = 96 << 20
/** Bytes taken from a peer at once: what their requests answer is queued before the next are looked at. */
export const INTAKE_SLICE_BYTES = 16 * 1024
/** Denials kept for the line that ends a run. */
export const MAX_FIRST_DENIALS = 32
