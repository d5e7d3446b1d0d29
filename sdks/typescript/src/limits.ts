/** Bounds of this client that are not the wire's own (those stand in @authority/protocol). */

/** What HELLO says of this client. */
export const CLIENT_NAME = 'authority-typescript 0.1.0'
/** Where the gate listens when neither `socket` nor AUTHORITY_SOCKET names another place. */
export const DEFAULT_SOCKET = '/run/authority/gate.sock'
/** ms to connect and be welcomed. */
export const CONNECT_TIMEOUT_MS = 10_000
/** ms one call waits when nobody says otherwise. */
export const DEFAULT_TIMEOUT_MS = 60_000
/** ms beyond the deadline a gate was told of, before its silence counts as its answer: it may take 2 s to settle an aborted effect. */
export const ANSWER_GRACE_MS = 3_000
/** ms a closing connection has to hand on what it has written. */
export const CLOSE_TIMEOUT_MS = 2_000
/** Bytes readFile, read and a response body hold when the caller names no other bound. */
export const DEFAULT_MAX_BYTES = 64 << 20
/** Bytes of a request body that goes with its request; a larger one is streamed. */
export const MAX_WHOLE_BODY_BYTES = 512 * 1024
/** Redirects net.fetch follows when the caller names no number. */
export const DEFAULT_REDIRECTS = 10
/** Entries one fs.readdir asks for. */
export const DIRECTORY_PAGE = 1024
/** Names of one directory. */
export const MAX_DIRECTORY_ENTRIES = 1_000_000
/** Pages in a row that bring no entry: what a gate may filter away, not a way to keep a client busy for ever. */
export const MAX_EMPTY_PAGES = 1_000
/** Characters of a token file. */
export const MAX_TOKEN_FILE_BYTES = 8 * 1024
