/** Bounds of the pipeline and its sessions that are not part of the wire (those stand in protocol/src/limits.ts). */

/** ms an aborted effect has to settle by itself before its outcome is recorded as unknown. */
export const ABORT_GRACE_MS = 2_000
/** Distinct denials remembered one by one; further ones are counted together per operation. */
export const MAX_DISTINCT_DENIALS = 4096
/** Distinct looks counted one by one between two LOOK records. */
export const MAX_DISTINCT_LOOKS = 2048
/** Bytes of JSON in one LOOK record: below the log's payload limit with room for the rest. */
export const MAX_LOOK_RECORD_BYTES = 32 * 1024
/** ms between two LOOK and DENY_REPEAT records. */
export const COALESCE_MS = 5_000
/** Bytes added to a lease when it is renewed: doubles up to the maximum, so that long streams cost few records. */
export const LEASE_STEP_BYTES = 1 << 20
export const MAX_LEASE_STEP_BYTES = 64 << 20
/** Characters a text may take in a record, written as JSON; a longer one is cut to CLIPPED_TEXT characters and its digest added. */
export const MAX_RECORD_TEXT = 6000
export const CLIPPED_TEXT = 800
/** Bytes a peer may leave unread before the gate stops reading from it. */
export const MAX_UNREAD_BYTES = 4 << 20
/** Denials kept for the line that ends a run. */
export const MAX_FIRST_DENIALS = 32
