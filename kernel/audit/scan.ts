/** Reads a log as its writer would continue it: every frame checked, and a tail torn by a crash told from damage (security.md 6.2.10). */
import { crc32c } from './crc32c.ts'
import { auditError, ioError } from './errors.ts'
import { checkFile, hasLostSector, joinPath, readRange } from './files.ts'
import { claimedPayload, type Frame, frameBytes, nextChain, readFrame } from './frame.ts'
import type { AuditFs } from './fs.ts'
import { sameBytes, sha256Stream } from './hash.ts'
import {
  FRAME_HEADER_BYTES,
  MAX_FLUSH_RECORDS,
  MAX_PAYLOAD_BYTES,
  MAX_PENDING_BYTES,
  MAX_SEGMENT_BYTES,
  SECTOR_BYTES,
  SEGMENT_HEADER_BYTES,
} from './limits.ts'
import type { LogState } from './log.ts'
import { leafHash } from './merkle.ts'
import { decodeHeader, type SegmentHeader, segmentName, segmentNumber, startChain } from './segment.ts'

export interface ScanResult {
  readonly state: LogState
  /** Bytes of the last segment file. */
  readonly fileBytes: number
  /** `clean`: ends with a frame or with zeros that were written ahead. `torn`: what a crash in the middle of a flush leaves. */
  readonly tail: 'clean' | 'torn'
  /** Bytes of a torn tail, from the first bad frame to the last byte that is not zero. */
  readonly tailBytes: Uint8Array
}

export type OnRecord = (frame: Frame, size: number, root: () => Uint8Array) => void

/** Segment numbers in a folder, ascending. */
export function segmentsIn(fs: AuditFs, folder: string): number[] {
  return fs
    .list(folder)
    .map(segmentNumber)
    .filter((n) => n !== null)
    .sort((a, b) => a - b)
}

/**
 * Scans from segment `from` (0, or the last one when only the end matters) and calls `onRecord` for each good frame, in order.
 * Throws E_AUDIT where the log is damaged in a way no crash explains.
 */
export function scanLog(fs: AuditFs, folder: string, from: number, onRecord: OnRecord): ScanResult {
  const numbers = segmentsIn(fs, folder)
  const last = numbers[numbers.length - 1]
  if (last === undefined) throw auditError(`There is no audit log in ${folder}.`)
  if (last !== numbers.length - 1) throw damaged(folder, 'a segment is missing')
  let result: ScanResult | undefined
  for (let n = from; n <= last; n++) result = scanSegment(fs, folder, n, result, n === last, onRecord)
  if (!result) throw damaged(folder, 'a segment is missing')
  return result
}

function damaged(path: string, what: string): Error {
  return auditError(`The audit log ${path} is damaged: ${what}.`, `No crash leaves this. Look with: authority audit verify ${path}`)
}

function scanSegment(
  fs: AuditFs,
  folder: string,
  number: number,
  before: ScanResult | undefined,
  isLast: boolean,
  onRecord: OnRecord,
): ScanResult {
  const path = joinPath(folder, segmentName(number))
  const bytes = readSegment(fs, path)
  const header = headerOf(bytes, path)
  checkContinues(header, number, before, path)
  const saltCrc = crc32c(header.salt)
  const range = header.range.copy()
  let chain = number === 0 ? startChain(bytes.subarray(0, SEGMENT_HEADER_BYTES)) : header.chain
  let at = SEGMENT_HEADER_BYTES
  for (;;) {
    const frame = readFrame(bytes, at, saltCrc)
    if (!frame || frame.seq !== range.size) break
    const leaf = leafHash(frame.payload)
    const next = nextChain(chain, leaf)
    if (!sameBytes(next, frame.chain)) throw damaged(path, `the chain breaks at record ${frame.seq}`)
    chain = next
    range.append(leaf)
    at += frame.bytes
    onRecord(frame, range.size, () => range.root())
  }
  const tail = tailOf(bytes, at, saltCrc, range.size, path)
  if (!isLast && at !== bytes.length) throw damaged(path, `bytes after record ${range.size - 1}, and a segment follows`)
  const hasher = sha256Stream()
  hasher.update(bytes.subarray(0, at))
  const earlier = before ? before.state.before + before.state.offset : 0
  return { state: { header, offset: at, before: earlier, chain: chain.slice(), range, hasher }, fileBytes: bytes.length, ...tail }
}

function readSegment(fs: AuditFs, path: string): Uint8Array {
  let fd = -1
  try {
    fd = fs.open(path, 'read')
    const { size } = checkFile(fs, fd, path)
    if (size > MAX_SEGMENT_BYTES) throw damaged(path, `it has ${size} bytes`)
    return readRange(fs, fd, 0, size)
  } catch (error) {
    throw ioError('read', path, error)
  } finally {
    if (fd >= 0) fs.close(fd)
  }
}

function headerOf(bytes: Uint8Array, path: string): SegmentHeader {
  try {
    return decodeHeader(bytes)
  } catch (error) {
    throw damaged(path, error instanceof Error ? error.message : 'its header cannot be read')
  }
}

function checkContinues(header: SegmentHeader, number: number, before: ScanResult | undefined, path: string): void {
  if (header.number !== number) throw damaged(path, `it says it is segment ${header.number}`)
  if (number === 0 && header.firstSeq !== 0) throw damaged(path, 'the first segment does not begin with record 0')
  if (!before) return
  const { state } = before
  const continues =
    header.firstSeq === state.range.size &&
    header.origin === state.header.origin &&
    sameBytes(header.logId, state.header.logId) &&
    sameBytes(header.chain, state.chain) &&
    sameBytes(header.range.root(), state.range.root()) &&
    sameBytes(header.previous, new Uint8Array(state.hasher.copy().digest()))
  if (!continues) throw damaged(path, 'it does not continue the segment before it')
}

/**
 * What lies after the last good frame. A torn flush has lost whole sectors (they read as zeros, or the file is short), and every good frame behind the hole belongs
 * to the same flush, which therefore nobody was told of. Anything else was changed by someone.
 */
function tailOf(bytes: Uint8Array, at: number, saltCrc: number, size: number, path: string): Pick<ScanResult, 'tail' | 'tailBytes'> {
  let end = bytes.length
  while (end > at && bytes[end - 1] === 0) end--
  if (end === at) return { tail: 'clean', tailBytes: new Uint8Array(0) }
  if (end - at > MAX_PENDING_BYTES + frameBytes(MAX_PAYLOAD_BYTES))
    throw damaged(path, `${end - at} bytes after record ${size - 1}, more than one flush writes`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let p = (at + 8) & ~7; p + FRAME_HEADER_BYTES <= end; p += 8) {
    // A look at the sequence number first: otherwise a hostile tail costs a checksum of 60 KiB every 8 bytes.
    if (!mayFollow(view, p, size)) continue
    const later = readFrame(bytes, p, saltCrc)
    if (later && (later.seq <= size || later.seq - later.back > size))
      throw damaged(path, `record ${size} is broken and record ${later.seq} after it is whole`)
  }
  if (!isTorn(bytes, at, end)) throw damaged(path, `record ${size} is broken`)
  return { tail: 'torn', tailBytes: bytes.slice(at, end) }
}

function mayFollow(view: DataView, at: number, size: number): boolean {
  const seq = view.getUint32(at + 8) * 2 ** 32 + view.getUint32(at + 12)
  return seq <= size ? seq + MAX_FLUSH_RECORDS > size : seq - size <= 2 * MAX_FLUSH_RECORDS
}

/** Cut short by the end of the file, by a write that stopped (`dataEnd`: only zeros from there on), or by a sector that was lost. */
function isTorn(bytes: Uint8Array, at: number, dataEnd: number): boolean {
  const payload = claimedPayload(bytes, at)
  const end = at + (payload === null ? SECTOR_BYTES - (at % SECTOR_BYTES) : frameBytes(payload))
  const stopped = dataEnd < (payload === null ? end : at + FRAME_HEADER_BYTES + payload)
  return end > bytes.length || stopped || hasLostSector(bytes.subarray(at, end), at)
}
