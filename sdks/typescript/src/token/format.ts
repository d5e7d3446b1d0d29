import { CapabilityError } from '../errors.ts'
import { decodeBase64url, encodeBase64url } from './base64url.ts'
import { MAX_BLOCKS, MAX_TOKEN_BINARY_BYTES } from './limits.ts'

/** The layout of a token (kernel/capability/FORMAT.md), as far as a holder needs it: header, blocks, tag. Nothing here verifies. */
const PREFIX = 'cap1_'
const VERSION = 1
const HEADER_BYTES = 57
const BLOCK_HEADER_BYTES = 3
const TAG_BYTES = 32
const MIN_BYTES = HEADER_BYTES + BLOCK_HEADER_BYTES + TAG_BYTES
const MAX_TEXT = PREFIX.length + Math.ceil((MAX_TOKEN_BINARY_BYTES * 4) / 3)
/** Where the header holds its two times, u64 each. */
const TIMES_AT = [41, 49] as const

export const RESTRICT = 1

export interface Token {
  /** Header and blocks as they stand: these bytes were MACed. */
  readonly body: Uint8Array
  readonly blocks: number
  readonly tag: Uint8Array
}

/** Throws CapabilityError E_CAP_INVALID for what no gate would take, before any cryptography. */
export function parseToken(text: string): Token {
  if (typeof text !== 'string' || text.length > MAX_TEXT) throw invalidToken(`it is no text of at most ${MAX_TEXT} characters`)
  if (!text.startsWith(PREFIX)) throw invalidToken(`it does not begin with ${PREFIX}`)
  const bytes = decodeBase64url(text.slice(PREFIX.length))
  if (bytes === null) throw invalidToken('it is not canonical base64url')
  if (bytes.length > MAX_TOKEN_BINARY_BYTES) throw invalidToken(`it is longer than ${MAX_TOKEN_BINARY_BYTES} bytes`)
  if (bytes.length < MIN_BYTES) throw invalidToken('it is too short to hold a header, a grant and a tag')
  if (bytes[0] !== VERSION) throw invalidToken(`version ${bytes[0]} is unknown to this build`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (const at of TIMES_AT)
    if (view.getBigUint64(at) > BigInt(Number.MAX_SAFE_INTEGER)) throw invalidToken('one of its times is beyond 2^53−1')
  const end = bytes.length - TAG_BYTES
  return { body: bytes.subarray(0, end), blocks: countBlocks(view, end), tag: bytes.subarray(end) }
}

export function serialiseToken(body: Uint8Array, tag: Uint8Array): string {
  const length = body.length + tag.length
  if (length > MAX_TOKEN_BINARY_BYTES) throw invalidToken(`it would be ${length} bytes long, ${MAX_TOKEN_BINARY_BYTES} are allowed`)
  const bytes = new Uint8Array(length)
  bytes.set(body, 0)
  bytes.set(tag, body.length)
  return PREFIX + encodeBase64url(bytes)
}

/** The body with one more block behind it. */
export function withBlock(body: Uint8Array, type: number, payload: Uint8Array): Uint8Array {
  // Its length field could not hold more; the token could not either.
  if (payload.length > MAX_TOKEN_BINARY_BYTES) throw invalidToken(`a restriction of ${payload.length} bytes does not fit it`)
  const longer = new Uint8Array(body.length + BLOCK_HEADER_BYTES + payload.length)
  longer.set(body, 0)
  new DataView(longer.buffer).setUint16(body.length, payload.length)
  longer[body.length + 2] = type
  longer.set(payload, body.length + BLOCK_HEADER_BYTES)
  return longer
}

export function invalidToken(cause: string): CapabilityError {
  return new CapabilityError('E_CAP_INVALID', `the token cannot be used: ${cause}`)
}

function countBlocks(view: DataView, end: number): number {
  let blocks = 0
  for (let at = HEADER_BYTES; at < end; ) {
    if (end - at < BLOCK_HEADER_BYTES) throw invalidToken('it ends inside the header of a block')
    at += BLOCK_HEADER_BYTES + view.getUint16(at)
    if (at > end) throw invalidToken('a block is longer than the token')
    if (++blocks > MAX_BLOCKS) throw invalidToken(`it has more than ${MAX_BLOCKS} blocks`)
  }
  return blocks
}
