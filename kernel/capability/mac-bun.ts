import { timingSafeEqual } from 'node:crypto'
import { MAX_TOKEN_BINARY_BYTES } from './limits.ts'
import { MAX_LABEL, type Mac, type MacChain } from './mac.ts'

/** SHA-256: bytes of a block and of a digest. */
const BLOCK = 64
const DIGEST = 32
/** HMAC's two pads (RFC 2104), a word of each. */
const INNER_PAD = 0x36363636
const OUTER_PAD = 0x5c5c5c5c
/** Below it a loop copies quicker than the call does. */
const SHORT = 160

/** The value, behind room for a label. */
const named = Buffer.alloc(MAX_LABEL + DIGEST)
const value = named.subarray(MAX_LABEL)
/** The inner hash's input: padded key, then the message; the outer one's: padded key, then the inner digest. Kept, since making them costs as much as hashing them. */
const inner = Buffer.alloc(BLOCK + MAX_TOKEN_BINARY_BYTES, INNER_PAD & 0xff)
const outer = Buffer.alloc(BLOCK + DIGEST, OUTER_PAD & 0xff)
const innerDigest = outer.subarray(BLOCK)
const nameDigest = Buffer.alloc(DIGEST)
const compared = Buffer.alloc(DIGEST)
/** The same memory in words. */
const valueWords = wordsOf(value)
const innerKey = wordsOf(inner.subarray(0, DIGEST))
const outerKey = wordsOf(outer.subarray(0, DIGEST))
/** The first so many bytes of `inner`. */
const innerOf: Buffer[] = []

/** HMAC of two one-shot hashes: half the time of a keyed hasher, which serves once. */
const chain: MacChain = {
  begin: (key) => {
    if (key.length !== DIGEST) throw new RangeError(`a key has ${DIGEST} bytes, not ${key.length}`)
    copy(key, 0, DIGEST, value, 0)
  },
  next: (head, bytes, from, to) => {
    const length = BLOCK + head.length + to - from
    if (length > inner.length) return void value.set(oneOff(value, head, bytes.subarray(from, to)))
    for (let i = 0; i < valueWords.length; i++) {
      const word = valueWords[i] as number
      innerKey[i] = word ^ INNER_PAD
      outerKey[i] = word ^ OUTER_PAD
    }
    copy(head, 0, head.length, inner, BLOCK)
    copy(bytes, from, to, inner, BLOCK + head.length)
    innerOf[length] ??= inner.subarray(0, length)
    Bun.SHA256.hash(innerOf[length], innerDigest)
    Bun.SHA256.hash(outer, value)
  },
  read: (into, at) => {
    for (let i = 0; i < valueWords.length; i++) into[at + i] = valueWords[i] as number
  },
  name: (label) => {
    const from = MAX_LABEL - label.length
    copy(label, 0, label.length, named, from)
    namedFrom[from] ??= named.subarray(from)
    Bun.SHA256.hash(namedFrom[from], nameDigest)
    return nameDigest.toString('hex', 0, 16)
  },
  equals: (bytes, at) => {
    if (bytes.length - at !== DIGEST) return false
    copy(bytes, at, bytes.length, compared, 0)
    return timingSafeEqual(value, compared)
  },
}
const namedFrom: Buffer[] = []
const NOTHING = new Uint8Array()

/** Bun's native hasher: the gate's. */
export const bunMac: Mac = {
  hmac: (key, head, body = NOTHING) => {
    if (key.length !== DIGEST) return oneOff(key, head, body)
    chain.begin(key)
    chain.next(head, body, 0, body.length)
    return new Uint8Array(value)
  },
  digest: (message) => Bun.SHA256.hash(message, new Uint8Array(DIGEST)) as Uint8Array,
  fingerprint: (bytes, seed) => mixed(mixed(seed, wordAt(bytes, bytes.length - 8)), wordAt(bytes, bytes.length - 4)),
  equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
  chain,
}

function oneOff(key: Uint8Array, head: Uint8Array, body: Uint8Array): Uint8Array {
  return new Uint8Array(new Bun.CryptoHasher('sha256', key).update(head).update(body).digest())
}

/** Of the last bytes alone: in a token they are of a MAC, and as good as all. */
function wordAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)
}

function mixed(seed: number, word: number): number {
  let value = Math.imul(seed ^ word, 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 15), 0xc2b2ae35)
  return value ^ (value >>> 13)
}

function copy(bytes: Uint8Array, from: number, to: number, into: Uint8Array, at: number): void {
  if (to - from > SHORT) into.set(bytes.subarray(from, to), at)
  else for (let i = from; i < to; i++) into[at + i - from] = bytes[i] as number
}

function wordsOf(bytes: Buffer): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, DIGEST / 4)
}
