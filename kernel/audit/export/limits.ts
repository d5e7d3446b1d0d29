/** Spans in one request. */
export const BATCH_SPANS = 512
/** Denials the run's span carries; the rest is counted. */
export const MAX_EVENTS = 10_000
/** Effects under way that are remembered; the oldest is exported without its end past this. */
export const MAX_OPEN_SPANS = 131_072
/** ms for one request, all of it. */
export const REQUEST_MS = 10_000
/** Tries of one batch when the collector says it is busy (429, 502, 503, 504) or the connection fails. */
export const TRIES = 4
/** ms before the second try; doubled for each further one. */
export const FIRST_PAUSE_MS = 250
/** Bytes of an answer that are read. */
export const MAX_ANSWER_BYTES = 64 * 1024
