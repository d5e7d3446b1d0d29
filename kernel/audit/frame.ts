/** One record as it lies in a segment (FORMAT.md "Frame"). Big-endian, 8-aligned. */
import { crc32c } from './crc32c.ts'
import { HashPair } from './hash.ts'
import { FRAME_HEADER_BYTES, MAX_PAYLOAD_BYTES } from './limits.ts'

const CHAIN = 0x02
/** Offsets in the frame header. */
const AT_LENGTH = 0
const AT_BACK = 2
const AT_CRC = 4
const AT_SEQ = 8
const AT_CHAIN = 16

export interface Frame {
  readonly seq: number
  /** Records of the same flush before this one. */
  readonly back: number
  readonly chain: Uint8Array
  readonly payload: Uint8Array
  /** Bytes with header and padding. */
  readonly bytes: number
}

/** Bytes of a frame with this payload. */
export function frameBytes(payload: number): number {
  return (FRAME_HEADER_BYTES + payload + 7) & ~7
}

const link = new HashPair(CHAIN)

/** chain = SHA-256(0x02 ‖ previous ‖ leaf). */
export function nextChain(previous: Uint8Array, leaf: Uint8Array): Uint8Array {
  return link.hashOf(previous, leaf)
}

/** The chain as its writer carries it on, hashed in place. */
export class Chain {
  readonly #link = new HashPair(CHAIN)

  constructor(value: Uint8Array) {
    this.#link.left.set(value)
  }

  /** Overwritten by the next record. */
  get value(): Uint8Array {
    return this.#link.left
  }

  /** Where the next record's leaf hash goes. */
  get leaf(): Uint8Array {
    return this.#link.right
  }

  advance(): void {
    this.#link.hashInto(this.#link.left)
  }
}

/** CRC-32C over salt ‖ seq ‖ length ‖ back ‖ chain ‖ payload of the frame at `at`; the salt makes stale bytes of another file never valid. */
function crcOf(bytes: Uint8Array, at: number, payload: number, saltCrc: number): number {
  let crc = crc32c(bytes, saltCrc, at + AT_SEQ, at + AT_CHAIN)
  crc = crc32c(bytes, crc, at + AT_LENGTH, at + AT_CRC)
  return crc32c(bytes, crc, at + AT_CHAIN, at + FRAME_HEADER_BYTES + payload)
}

/** Big-endian. A DataView for each frame costs more than all of these. */
function putUint16(into: Uint8Array, at: number, value: number): void {
  into[at] = value >>> 8
  into[at + 1] = value
}

function putUint32(into: Uint8Array, at: number, value: number): void {
  putUint16(into, at, value >>> 16)
  putUint16(into, at + 2, value & 0xffff)
}

/** Writes a frame into `into` at `at` and returns its length. `saltCrc` is crc32c(salt). */
export function writeFrame(into: Uint8Array, at: number, frame: Omit<Frame, 'bytes'>, saltCrc: number): number {
  into.set(frame.payload, at + FRAME_HEADER_BYTES)
  return closeFrame(into, at, frame.payload.length, frame, saltCrc)
}

/** Writes what belongs around a payload of so many bytes that has its place in the frame at `at` already, and returns the length of the frame. */
export function closeFrame(
  into: Uint8Array,
  at: number,
  payload: number,
  { seq, back, chain }: Pick<Frame, 'seq' | 'back' | 'chain'>,
  saltCrc: number,
): number {
  const total = frameBytes(payload)
  putUint16(into, at + AT_LENGTH, payload)
  putUint16(into, at + AT_BACK, back)
  putUint32(into, at + AT_SEQ, Math.floor(seq / 2 ** 32))
  putUint32(into, at + AT_SEQ + 4, seq % 2 ** 32)
  into.set(chain, at + AT_CHAIN)
  for (let i = at + FRAME_HEADER_BYTES + payload; i < at + total; i++) into[i] = 0
  putUint32(into, at + AT_CRC, crcOf(into, at, payload, saltCrc))
  return total
}

/** The frame at `at`, or null when there is no whole and unharmed one. Sequence and chain are the caller's to judge. The arrays are views. */
export function readFrame(bytes: Uint8Array, at: number, saltCrc: number): Frame | null {
  if (at + FRAME_HEADER_BYTES > bytes.length) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, FRAME_HEADER_BYTES)
  const length = view.getUint16(AT_LENGTH)
  const total = frameBytes(length)
  if (length < 2 || length > MAX_PAYLOAD_BYTES || at + total > bytes.length) return null
  if (crcOf(bytes, at, length, saltCrc) !== view.getUint32(AT_CRC)) return null
  const seq = view.getBigUint64(AT_SEQ)
  if (seq > BigInt(Number.MAX_SAFE_INTEGER)) return null
  const end = at + FRAME_HEADER_BYTES + length
  for (let i = end; i < at + total; i++) if (bytes[i] !== 0) return null
  return {
    seq: Number(seq),
    back: view.getUint16(AT_BACK),
    chain: bytes.subarray(at + AT_CHAIN, at + FRAME_HEADER_BYTES),
    payload: bytes.subarray(at + FRAME_HEADER_BYTES, end),
    bytes: total,
  }
}

/** Bytes of payload the frame at `at` says it has, believing nothing else of it; null when it says nothing possible. */
export function claimedPayload(bytes: Uint8Array, at: number): number | null {
  if (at + 2 > bytes.length) return null
  const length = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
  return length < 2 || length > MAX_PAYLOAD_BYTES ? null : length
}
