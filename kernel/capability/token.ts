import { decodeBase64url, encodeBase64url } from './base64url.ts'
import { malformed } from './errors.ts'
import { MAX_BLOCKS, MAX_TOKEN_BINARY_BYTES } from './limits.ts'

/** The layout of FORMAT.md: header, blocks, tag; all integers big-endian. Nothing here knows a key or what a payload means. */
export const TOKEN_PREFIX = 'cap1_'
export const TOKEN_VERSION = 1
export const KEY_ID_BYTES = 8
export const NONCE_BYTES = 16
export const RUN_BYTES = 16
export const TAG_BYTES = 32
/** ver u8 | kid 8 | nonce 16 | run 16 | nbf u64 | exp u64 */
export const HEADER_BYTES = 1 + KEY_ID_BYTES + NONCE_BYTES + RUN_BYTES + 8 + 8
/** len u16 | type u8 */
export const BLOCK_HEADER_BYTES = 3
/** Characters of the longest text: the prefix and canonical base64url of the longest token. */
export const MAX_TOKEN_TEXT = TOKEN_PREFIX.length + Math.ceil((MAX_TOKEN_BINARY_BYTES * 4) / 3)

const MIN_TOKEN_BYTES = HEADER_BYTES + BLOCK_HEADER_BYTES + TAG_BYTES
/** Upper half of the greatest u64 that is a safe integer. */
const MAX_SAFE_HIGH = 0x1f_ffff

export interface Block {
  /** One byte; blocks.ts knows the types. */
  readonly type: number
  readonly payload: Uint8Array
}

export interface Header {
  readonly keyId: Uint8Array
  readonly nonce: Uint8Array
  readonly run: Uint8Array
  /** ms since the epoch: valid from here… */
  readonly notBefore: number
  /** …and until just before here. */
  readonly expires: number
}

export interface Token extends Header {
  /** The header as it stands in the token: these bytes are MACed, never a re-encoding. */
  readonly headerBytes: Uint8Array
  readonly blocks: readonly Block[]
  readonly tag: Uint8Array
}

/** Where things stand in the bytes of a token: nothing is cut out of them, a view of fresh bytes costs more than reading them. */
export interface Layout {
  readonly bytes: Uint8Array
  readonly notBefore: number
  readonly expires: number
  /** Where each block begins. */
  readonly blocks: readonly number[]
}

export const KEY_ID_AT = 1
export const NONCE_AT = KEY_ID_AT + KEY_ID_BYTES
export const RUN_AT = NONCE_AT + NONCE_BYTES

/** Size, base64url and layout, in this order and before any cryptography. Throws E_CAP_INVALID. Nothing in the result was verified. */
export function readLayout(text: string): Layout {
  return layoutOf(readText(text))
}

/** Size and base64url: the bytes that only this text has. */
export function readText(text: string): Uint8Array {
  if (text.length > MAX_TOKEN_TEXT) throw malformed(`it is longer than ${MAX_TOKEN_TEXT} characters`)
  if (!hasPrefix(text)) throw malformed(`it does not begin with ${TOKEN_PREFIX}`)
  const bytes = decodeBase64url(text, TOKEN_PREFIX.length)
  if (bytes === null) throw malformed('it is not canonical base64url without padding')
  return bytes
}

/** Quicker than asking the runtime. */
function hasPrefix(text: string): boolean {
  for (let i = 0; i < TOKEN_PREFIX.length; i++) if (text.charCodeAt(i) !== TOKEN_PREFIX.charCodeAt(i)) return false
  return true
}

/** As readLayout, of the bytes. */
export function layoutOf(bytes: Uint8Array): Layout {
  if (bytes.length > MAX_TOKEN_BINARY_BYTES) throw malformed(`it is longer than ${MAX_TOKEN_BINARY_BYTES} bytes`)
  if (bytes.length < MIN_TOKEN_BYTES) throw malformed('it is too short to hold a header, a grant and a tag')
  const version = bytes[0]
  if (version !== TOKEN_VERSION) throw malformed(`version ${version} is unknown to this build`)
  return {
    bytes,
    notBefore: readTime(bytes, HEADER_BYTES - 16, 'not-before'),
    expires: readTime(bytes, HEADER_BYTES - 8, 'expiry'),
    blocks: findBlocks(bytes),
  }
}

/** As readLayout, its parts cut out. */
export function parseToken(text: string): Token {
  const { bytes, notBefore, expires, blocks } = readLayout(text)
  const cut = (from: number, length: number): Uint8Array => bytes.subarray(from, from + length)
  return {
    keyId: cut(KEY_ID_AT, KEY_ID_BYTES),
    nonce: cut(NONCE_AT, NONCE_BYTES),
    run: cut(RUN_AT, RUN_BYTES),
    notBefore,
    expires,
    headerBytes: cut(0, HEADER_BYTES),
    blocks: blocks.map((at) => ({ type: blockType(bytes, at), payload: bytes.subarray(at + BLOCK_HEADER_BYTES, blockEnd(bytes, at)) })),
    tag: cut(bytes.length - TAG_BYTES, TAG_BYTES),
  }
}

/** `cap1_…` of a token. Throws E_CAP_INVALID when it would break a limit. */
export function serialiseToken(token: Pick<Token, 'headerBytes' | 'blocks' | 'tag'>): string {
  const before = bytesBeforeTag(token)
  const bytes = new Uint8Array(before.length + TAG_BYTES)
  bytes.set(before, 0)
  bytes.set(token.tag, before.length)
  return TOKEN_PREFIX + encodeBase64url(bytes)
}

/** All of a token but its tag. Throws E_CAP_INVALID when it would break a limit. */
export function bytesBeforeTag({ headerBytes, blocks }: Pick<Token, 'headerBytes' | 'blocks'>): Uint8Array {
  if (blocks.length > MAX_BLOCKS) throw malformed(`it would have ${blocks.length} blocks, ${MAX_BLOCKS} are allowed`)
  const length = blocks.reduce((sum, block) => sum + BLOCK_HEADER_BYTES + block.payload.length, HEADER_BYTES)
  const whole = length + TAG_BYTES
  if (whole > MAX_TOKEN_BINARY_BYTES) throw malformed(`it would be ${whole} bytes long, ${MAX_TOKEN_BINARY_BYTES} are allowed`)
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  bytes.set(headerBytes, 0)
  let at = HEADER_BYTES
  for (const { type, payload } of blocks) {
    view.setUint16(at, payload.length)
    view.setUint8(at + 2, type)
    bytes.set(payload, at + BLOCK_HEADER_BYTES)
    at += BLOCK_HEADER_BYTES + payload.length
  }
  return bytes
}

/** The bytes of a header. Times are checked by the caller. */
export function headerBytes(header: Header): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, TOKEN_VERSION)
  bytes.set(header.keyId, 1)
  bytes.set(header.nonce, 1 + KEY_ID_BYTES)
  bytes.set(header.run, 1 + KEY_ID_BYTES + NONCE_BYTES)
  view.setBigUint64(HEADER_BYTES - 16, BigInt(header.notBefore))
  view.setBigUint64(HEADER_BYTES - 8, BigInt(header.expires))
  return bytes
}

export function blockType(bytes: Uint8Array, at: number): number {
  return byteAt(bytes, at + 2)
}

/** Where the payload of the block that begins at `at` ends. */
export function blockEnd(bytes: Uint8Array, at: number): number {
  return at + BLOCK_HEADER_BYTES + byteAt(bytes, at) * 0x100 + byteAt(bytes, at + 1)
}

/** Everything between header and tag is blocks, with not a byte over. */
function findBlocks(bytes: Uint8Array): readonly number[] {
  const end = bytes.length - TAG_BYTES
  const blocks: number[] = []
  let at = HEADER_BYTES
  while (at < end) {
    if (blocks.length === MAX_BLOCKS) throw malformed(`it has more than ${MAX_BLOCKS} blocks`)
    if (at + BLOCK_HEADER_BYTES > end) throw malformed(`block ${blocks.length} is cut off`)
    const next = blockEnd(bytes, at)
    if (next > end) throw malformed(`block ${blocks.length} reaches past the end`)
    blocks.push(at)
    at = next
  }
  return blocks
}

function readTime(bytes: Uint8Array, at: number, name: string): number {
  const high = readU32(bytes, at)
  if (high > MAX_SAFE_HIGH) throw malformed(`its ${name} is above 2^53−1`)
  return high * 0x1_0000_0000 + readU32(bytes, at + 4)
}

function readU32(bytes: Uint8Array, at: number): number {
  return byteAt(bytes, at) * 0x100_0000 + byteAt(bytes, at + 1) * 0x1_0000 + byteAt(bytes, at + 2) * 0x100 + byteAt(bytes, at + 3)
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] as number
}
