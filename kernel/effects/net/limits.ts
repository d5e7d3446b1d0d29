/** Bounds of the network effects. */

/** ms to resolve a name. */
export const RESOLVE_DEADLINE_MS = 10_000
/** ms to connect to one address. */
export const DIAL_DEADLINE_MS = 15_000
/** Addresses of one name that are tried. */
export const MAX_ADDRESSES_TRIED = 4
/** Bytes first leased to a connection; renewed as it moves more. */
export const FIRST_LEASE_BYTES = 1 << 20
/** Of a small budget it reserves a quarter of what is left, and no less than this where there is so much: idle connections must not hold all of it. */
export const MIN_LEASE_BYTES = 64 * 1024
/** Names one run may have synthetic addresses for: 198.18.0.0/15 less its first and last. */
export const MAX_SYNTHETIC_NAMES = 65_536
/** Bytes of a request body that is streamed, and of a response body when the caller sets no lower cap. */
export const MAX_BODY_BYTES = 1 << 30
/** ms for a whole exchange when the caller sets none. */
export const FETCH_DEADLINE_MS = 5 * 60_000
/** Bytes of all response headers. */
export const MAX_RESPONSE_HEADER_BYTES = 64 * 1024
/** Response headers handed on; further ones are dropped and counted. */
export const MAX_RESPONSE_HEADERS = 256
/** Redirects followed at most. */
export const MAX_REDIRECTS = 10
/** Bytes of a URL, as the operations table allows in a request: a redirect may not lead to a longer one. */
export const MAX_URL_BYTES = 8192
/** Seconds a program may keep a DNS answer: synthetic addresses hold for the run. */
export const DNS_TTL_S = 60
/** Bytes of a ClientHello: one with post-quantum keys has about 2 KiB. */
export const MAX_CLIENT_HELLO_BYTES = 16 * 1024
/** TLS records one may come in. */
export const MAX_HELLO_RECORDS = 64
/** Pieces of a stream one may come in. */
export const MAX_HELLO_PIECES = 1024
/** Bytes a client may send before its ClientHello is whole; early data may come with it. One chunk of a stream on top. */
export const MAX_HELLO_FLIGHT_BYTES = 96 * 1024
/** ms a client has for its ClientHello. */
export const HELLO_FLIGHT_DEADLINE_MS = 30_000
/** ms after which the next address is tried beside one that has not answered (RFC 8305, 5: Connection Attempt Delay). */
export const NEXT_ADDRESS_MS = 250
/** Different names one run may have resolved upstream, and bytes of all of them: what a wildcard rule lets out by names alone. */
export const MAX_RESOLVED_NAMES = 1024
export const MAX_RESOLVED_NAME_BYTES = 32 * 1024
/** Bytes their new labels could carry by the frequency of their characters: a thousand words, or 200 labels of 32 random letters. */
export const MAX_RESOLVED_INFORMATION = 4096
/** Bytes of a label above which all of them count: no longer word, digest or number of a host was seen in practice. */
export const LONG_LABEL_BYTES = 40
/** ms a request for a connection to a published port waits; the guest asks again. */
export const ACCEPT_WAIT_MS = 50_000
/** Connections to published ports that wait for the guest; further ones are closed. */
export const MAX_UNTAKEN_CONNECTIONS = 64
/** Connections one run may have, in both directions, those being dialled included. */
export const MAX_CONNECTIONS = 4096
/** Ports one run may publish. */
export const MAX_PUBLISHED_PORTS = 16
/** Names resolved at once; further ones wait for their turn within their deadline. */
export const MAX_RESOLVING = 64
/** ms one DNS server has before the next is asked, and how often each is asked. */
export const RESOLVE_ATTEMPT_MS = 2_000
export const RESOLVE_ROUNDS = 2
/** DNS servers an operator may name. */
export const MAX_DNS_SERVERS = 4
/** Datagrams of a DNS server that answer something else, before it is given up. */
export const MAX_STRAY_DATAGRAMS = 16
/** Bytes of a DNS answer over TCP or HTTPS. */
export const MAX_ANSWER_BYTES = 65_535
/** Records of a DNS answer. */
export const MAX_ANSWER_RECORDS = 256
/** Aliases from a name to its addresses. */
export const MAX_CNAMES = 12
/** Compression pointers in one name. */
export const MAX_NAME_POINTERS = 16
