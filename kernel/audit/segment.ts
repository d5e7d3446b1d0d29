/** Segment files: their names and their header (FORMAT.md "Segment"). */
import { crc32c } from './crc32c.ts'
import { HASH_BYTES, sameBytes, sha256 } from './hash.ts'
import {
  FIRST_SEGMENT_BYTES,
  FORMAT_VERSION,
  LARGEST_SEGMENT_BYTES,
  MAX_ORIGIN_BYTES,
  SEGMENT_GROWTH,
  SEGMENT_HEADER_BYTES,
} from './limits.ts'
import { CompactRange } from './merkle.ts'

const MAGIC = new TextEncoder().encode('AUTHLOG\n')
const START = 0x03
const AT = {
  magic: 0,
  version: 8,
  headerBytes: 10,
  number: 12,
  firstSeq: 16,
  logId: 24,
  salt: 40,
  previous: 56,
  chain: 88,
  root: 120,
  rangeCount: 152,
  originBytes: 153,
  origin: 154,
  range: 416,
} as const
const AT_CRC = SEGMENT_HEADER_BYTES - 4
const MAX_RANGE = 53

/** A segment until it is whole. */
export const UNFINISHED_SEGMENT = 'segment.new'

export interface SegmentHeader {
  readonly origin: string
  /** 16 bytes: the run, or the installation. */
  readonly logId: Uint8Array
  readonly number: number
  /** Sequence number of the first record, and size of the tree before it. */
  readonly firstSeq: number
  /** 16 random bytes. */
  readonly salt: Uint8Array
  /** SHA-256 of the whole previous segment file; zeros in segment 0. */
  readonly previous: Uint8Array
  /** Chain value before the first record; zeros in segment 0 (its chain starts at startChain). */
  readonly chain: Uint8Array
  /** The tree before the first record. */
  readonly range: CompactRange
}

export function segmentName(number: number): string {
  return `seg-${String(number).padStart(8, '0')}.log`
}

/** Number of a segment file's name, or null. */
export function segmentNumber(name: string): number | null {
  const digits = /^seg-(\d{8})\.log$/.exec(name)?.[1]
  return digits === undefined ? null : Number(digits)
}

/** Preallocated size of a run's segment. */
export function runSegmentBytes(number: number): number {
  return Math.min(LARGEST_SEGMENT_BYTES, FIRST_SEGMENT_BYTES * SEGMENT_GROWTH ** Math.min(number, 8))
}

/** What the first record's chain is made from: SHA-256(0x03 ‖ header of segment 0) ties the chain to the log's identity. */
export function startChain(header: Uint8Array): Uint8Array {
  const buffer = new Uint8Array(1 + header.length)
  buffer[0] = START
  buffer.set(header, 1)
  return sha256(buffer)
}

export function encodeHeader(header: SegmentHeader): Uint8Array {
  const out = new Uint8Array(SEGMENT_HEADER_BYTES)
  const view = new DataView(out.buffer)
  const origin = new TextEncoder().encode(header.origin)
  if (origin.length > MAX_ORIGIN_BYTES) throw new RangeError(`an origin has at most ${MAX_ORIGIN_BYTES} bytes`)
  out.set(MAGIC, AT.magic)
  view.setUint16(AT.version, FORMAT_VERSION)
  view.setUint16(AT.headerBytes, SEGMENT_HEADER_BYTES)
  view.setUint32(AT.number, header.number)
  view.setBigUint64(AT.firstSeq, BigInt(header.firstSeq))
  out.set(header.logId, AT.logId)
  out.set(header.salt, AT.salt)
  out.set(header.previous, AT.previous)
  out.set(header.chain, AT.chain)
  out.set(header.range.root(), AT.root)
  out[AT.rangeCount] = header.range.hashes.length
  out[AT.originBytes] = origin.length
  out.set(origin, AT.origin)
  header.range.hashes.forEach((hash, i) => {
    out.set(hash, AT.range + i * HASH_BYTES)
  })
  view.setUint32(AT_CRC, crc32c(out, 0, 0, AT_CRC))
  return out
}

/** Throws RangeError that says what is wrong. */
export function decodeHeader(bytes: Uint8Array): SegmentHeader {
  if (bytes.length < SEGMENT_HEADER_BYTES) throw new RangeError(`the header ends after ${bytes.length} bytes`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, SEGMENT_HEADER_BYTES)
  if (!sameBytes(bytes.subarray(0, MAGIC.length), MAGIC)) throw new RangeError('it does not begin like an audit segment')
  const version = view.getUint16(AT.version)
  if (version !== FORMAT_VERSION) throw new RangeError(`format version ${version} is not known, only ${FORMAT_VERSION}`)
  if (view.getUint32(AT_CRC) !== crc32c(bytes, 0, 0, AT_CRC)) throw new RangeError('the checksum of the header is wrong')
  const firstSeq = Number(view.getBigUint64(AT.firstSeq))
  const count = bytes[AT.rangeCount] ?? 0
  const originBytes = bytes[AT.originBytes] ?? 0
  if (view.getUint16(AT.headerBytes) !== SEGMENT_HEADER_BYTES || !Number.isSafeInteger(firstSeq) || count > MAX_RANGE)
    throw new RangeError('a field of the header is out of range')
  const range = new CompactRange(
    firstSeq,
    Array.from({ length: count }, (_, i) => bytes.slice(AT.range + i * HASH_BYTES, AT.range + (i + 1) * HASH_BYTES)),
  )
  if (!sameBytes(range.root(), bytes.subarray(AT.root, AT.root + HASH_BYTES)))
    throw new RangeError('the tree of the header does not have the root of the header')
  return {
    origin: new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(AT.origin, AT.origin + originBytes)),
    logId: bytes.slice(AT.logId, AT.logId + 16),
    number: view.getUint32(AT.number),
    firstSeq,
    salt: bytes.slice(AT.salt, AT.salt + 16),
    previous: bytes.slice(AT.previous, AT.previous + HASH_BYTES),
    chain: bytes.slice(AT.chain, AT.chain + HASH_BYTES),
    range,
  }
}
