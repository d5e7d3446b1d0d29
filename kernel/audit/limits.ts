/** Every bound of the audit log (FORMAT.md). All sizes are bytes unless a name says otherwise. */

/** Version in every segment header; another one is refused. */
export const FORMAT_VERSION = 1
/** Fixed size of a segment header: one page, so that the first frame starts page-aligned. */
export const SEGMENT_HEADER_BYTES = 4096
/** Frame header: length u16, back u16, CRC u32, seq u64, chain 32. */
export const FRAME_HEADER_BYTES = 48
/** Most bytes of one record: C2SP tlog entries end at 64 KiB. */
export const MAX_PAYLOAD_BYTES = 60 * 1024
/** Objects and lists within each other in one record, itself counted: readers recurse. */
export const MAX_NESTING = 64
/** Most records in one flush: `back` is a u16. */
export const MAX_FLUSH_RECORDS = 65_535
/** Flushes after another session's effect for which requests of several are looked for before each. */
export const COMPANY_FLUSHES = 64
/** From so many bytes on hashing a flush takes longer than asking the device to begin with it. */
export const START_WRITING_BYTES = 16 * 1024
/** Written frames are hashed into the hash of their segment so many bytes at a time (some 9 µs). */
export const HASH_AT_ONCE_BYTES = 16 * 1024
/** Bytes waiting for a flush at most: past this, append flushes by itself. */
export const MAX_PENDING_BYTES = 4 * 1024 * 1024
/** A segment file larger than this is not one. */
export const MAX_SEGMENT_BYTES = 64 * 1024 * 1024
/** First preallocation of a run: small runs stay cheap, and sealing trims it. */
export const FIRST_SEGMENT_BYTES = 1024 * 1024
/** Each next segment is this much larger, up to LARGEST_SEGMENT_BYTES: writing the zeros stops the gate for some 10 ms. */
export const SEGMENT_GROWTH = 4
export const LARGEST_SEGMENT_BYTES = 16 * 1024 * 1024
/** Segment of the installation log: every note reads the last one again, so it is small and not preallocated. */
export const INSTALLATION_SEGMENT_BYTES = 64 * 1024
/** Most segments of one log. */
export const MAX_SEGMENTS = 1_000_000
/** Bytes of one run's log when the caller does not say. */
export const DEFAULT_LOG_BYTES = 4 * 1024 * 1024 * 1024
/** Room an INTENT keeps for its OUTCOME and its CLOSE: one that is larger leaves its detail out where there is no other room. */
export const OUTCOME_BYTES = 1024
export const CLOSE_BYTES = 1024
/** Room a denial keeps for counting its repeats. */
export const REPEAT_BYTES = 192
/** Room a block that counts its uses keeps for telling them at the end. */
export const USES_BYTES = 256
/** What the end of a request for approval may have beyond the request itself: frame, stamp, the approver's words as JSON. */
export const APPROVAL_END_BYTES = 1280
/** Kept for the end of every run: streams, time, the last denial that is told, RUN_END. */
export const ENDING_RESERVE_BYTES = 6 * 1024
/** Kept for revocations, policies and what else people do to a run… */
export const OPERATOR_RESERVE_BYTES = 64 * 1024
/** …and for denials of a log without other room; of a small log no more than one part in RESERVE_SHARE each. */
export const DENIAL_RESERVE_BYTES = 64 * 1024
export const RESERVE_SHARE = 8
/** With less room than this, records that can wait wait for the end. */
export const TIGHT_BYTES = 1024
/** Effects without their OUTCOME or CLOSE at one time; the verifier keeps no more in memory. */
export const MAX_OPEN_EFFECTS = 131_072
/** A checkpoint after so many records… */
export const CHECKPOINT_RECORDS = 4096
/** …or so many ms, also when nothing happened. */
export const CHECKPOINT_MS = 60_000
/** ms to wait for another run that holds the installation log. */
export const INSTALLATION_LOCK_MS = 10_000
/** ms between two tries for that lock. */
export const INSTALLATION_LOCK_RETRY_MS = 2
/** Bytes of one signed note at most. */
export const MAX_NOTE_BYTES = 4096
/** Bytes of an origin line (a segment header keeps room for it). */
export const MAX_ORIGIN_BYTES = 255
/** Bytes of a key file. */
export const MAX_KEY_FILE_BYTES = 1024
/** Sector a disk writes as a whole: the unit of a torn write. */
export const SECTOR_BYTES = 512
/** A tile holds 2^8 hashes (c2sp.org/tlog-tiles). */
export const TILE_HEIGHT = 8
export const TILE_WIDTH = 256
/** Bytes of a proof file at most: 64 hashes of 45 bytes and a note. */
export const MAX_PROOF_BYTES = 16 * 1024
/** Bytes of all key certificates: some 100 rotations. */
export const MAX_KEY_CHAIN_BYTES = 64 * 1024

/** Sessions, and kinds of effects of each, whose common bytes of an INTENT are kept; then they are made anew. */
export const KEPT_SESSIONS = 64
export const KEPT_SHAPES = 8
