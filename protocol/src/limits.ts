/** Every bound of the wire, in one place. A peer that exceeds one is answered as SPEC.md's state table says; none is ever allocated for first. */

/** Protocol version in hello and welcome: another number is refused. */
export const PROTOCOL_VERSION = 1
/** Newest generation this build speaks: the lower of both ends wins; fields are only ever added. */
export const GENERATION = 1

/** Bytes of one link frame after its length field (session number and CBOR item). */
export const MAX_FRAME_BYTES = 1 << 20
/** Bytes of the link header: u32 length, u32 session, big-endian. */
export const LINK_HEADER_BYTES = 8
/** Bytes of the CBOR item of one frame: what is left beside the session number. */
export const MAX_ITEM_BYTES = MAX_FRAME_BYTES - 4
/** Bytes of one stream chunk. */
export const MAX_CHUNK_BYTES = 64 * 1024
/** Nesting of CBOR arrays, the outermost counting as 1. */
export const MAX_CBOR_DEPTH = 8
/** Values in one CBOR item, all arrays together: 1 MiB of one-byte values would otherwise become tens of MiB of objects. */
export const MAX_CBOR_VALUES = 32 * 1024
/** Elements of one CBOR array. */
export const MAX_CBOR_ARRAY = 4096
/** Bytes of a path, as Linux's PATH_MAX. */
export const MAX_PATH_BYTES = 4096
/** Bytes of one path component, as Linux's NAME_MAX. */
export const MAX_NAME_BYTES = 255
/** Bytes of a host name (RFC 1035). */
export const MAX_HOST_BYTES = 253
/** Bytes of a DNS query or answer: what every resolver takes without fragments. */
export const MAX_DNS_BYTES = 1232
/** Bytes of a capability token in text form. */
export const MAX_TOKEN_BYTES = 6 * 1024
/** Requests one session may have unanswered. */
export const MAX_IN_FLIGHT = 256
/** Streams one session may have open. */
export const MAX_STREAMS = 256
/** Open file handles one session may hold. */
export const MAX_FILES = 1024
/** Bytes of credit a fresh stream starts with, in each direction. */
export const INITIAL_STREAM_CREDIT = 256 * 1024
/** Sessions one link may have open. */
export const MAX_SESSIONS = 256
/** Rows of `budget.status`: every dimension of the run, of each class of operations and of the 16 blocks of a token. */
export const MAX_BUDGET_ROWS = 512
/** Points of one row of `budget.history`. */
export const MAX_HISTORY_POINTS = 64
/** Rows of one answer of `budget.marks`. */
export const MAX_MARK_ROWS = 64
/** ms a request may ask to wait at most; 0 in a request means this. */
export const MAX_DEADLINE_MS = 10 * 60 * 1000
/** ms a connected peer has to say hello. */
export const HELLO_DEADLINE_MS = 10_000
/** Bytes of FUSE data in one read or write: fits a frame with its FUSE header. */
export const MAX_FUSE_DATA_BYTES = 512 * 1024
/** Bytes of the sentence in an error, a reset or a goodbye; a longer one is cut by the sender. */
export const MAX_MESSAGE_BYTES = 4096
/** Bytes of a policy fix in a denial; a longer one is left out by the sender. */
export const MAX_FIX_BYTES = 64 * 1024
/** Bytes of an object in a denial: a URL of net.fetch. */
export const MAX_OBJECT_BYTES = 8192
/** Bytes of credit one STREAM_CREDIT grants at most. */
export const MAX_STREAM_CREDIT = 0xffff_ffff
