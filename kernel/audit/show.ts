/** Reading a log as records, for `audit show`, `policy suggest` and the end of a run. Proves nothing: that is verify's work. */
import { crc32c } from './crc32c.ts'
import { auditError, ioError } from './errors.ts'
import { checkFile, joinPath, readRange } from './files.ts'
import { claimedPayload, readFrame } from './frame.ts'
import type { AuditFs } from './fs.ts'
import { hostFs } from './fs-host.ts'
import { FRAME_HEADER_BYTES, MAX_SEGMENT_BYTES, SEGMENT_HEADER_BYTES } from './limits.ts'
import { segmentsIn } from './scan.ts'
import { decodeHeader, segmentName } from './segment.ts'
import type { RecordBody, RecordType } from './types.ts'

/** Bytes read at once. */
const WINDOW_BYTES = 256 * 1024

export type ShownRecord = RecordBody & { readonly seq: number; readonly t: string; readonly boot_ms: number }

export interface RecordFilter {
  /** First and last sequence number, both included. */
  readonly from?: number
  readonly to?: number
  readonly types?: readonly RecordType[]
  /** Operation name, e.g. `fs.open`. */
  readonly op?: string
  /** Only what was refused: DENY and DENY_REPEAT. */
  readonly denied?: boolean
}

/** The whole records of a log in order, as far as they can be read; stops at the first that is not whole. Throws E_AUDIT when there is no log. */
export async function* readRecords(path: string, filter: RecordFilter = {}, fs: AuditFs = hostFs): AsyncGenerator<ShownRecord, void> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  for (const payload of readPayloads(path, fs)) {
    const record = JSON.parse(decoder.decode(payload)) as ShownRecord
    if (filter.to !== undefined && record.seq > filter.to) return
    if (passes(record, filter)) yield record
  }
}

function passes(record: ShownRecord, { from, types, op, denied }: RecordFilter): boolean {
  if (from !== undefined && record.seq < from) return false
  if (types && !types.includes(record.type)) return false
  if (op !== undefined && (!('op' in record) || record.op !== op)) return false
  return !denied || record.type === 'DENY' || record.type === 'DENY_REPEAT'
}

/** The payloads of the whole records in order; views that live until the next one. */
export function* readPayloads(path: string, fs: AuditFs): Generator<Uint8Array, void> {
  let seq = 0
  const numbers = folderSegments(path, fs)
  for (const number of numbers) {
    for (const payload of segmentPayloads(fs, joinPath(path, segmentName(number)), seq)) {
      yield payload
      seq++
    }
  }
}

function folderSegments(path: string, fs: AuditFs): readonly number[] {
  if (fs.lstat(path)?.kind !== 'folder') throw auditError(`There is no audit log in ${path}.`)
  const numbers = segmentsIn(fs, path)
  if (numbers.length === 0) throw auditError(`There is no audit log in ${path}.`)
  return numbers
}

function* segmentPayloads(fs: AuditFs, path: string, firstSeq: number): Generator<Uint8Array, void> {
  let fd = -1
  try {
    fd = fs.open(path, 'read')
    const size = Math.min(checkFile(fs, fd, path).size, MAX_SEGMENT_BYTES)
    const saltCrc = crc32c(decodeHeader(readRange(fs, fd, 0, SEGMENT_HEADER_BYTES)).salt)
    let start = SEGMENT_HEADER_BYTES
    let seq = firstSeq
    while (start < size) {
      const bytes = readRange(fs, fd, start, Math.min(size, start + WINDOW_BYTES))
      let at = 0
      for (let frame = readFrame(bytes, at, saltCrc); frame && frame.seq === seq; frame = readFrame(bytes, at, saltCrc)) {
        yield frame.payload
        at += frame.bytes
        seq++
      }
      // Nothing whole in a window that was long enough for any frame: the records end here.
      if (at === 0 || (start + bytes.length === size && !mayContinue(bytes, at))) return
      start += at
    }
  } catch (error) {
    if (error instanceof RangeError) throw auditError(`${path} is not a segment of an audit log: ${error.message}.`, undefined, error)
    throw ioError('read', path, error)
  } finally {
    if (fd >= 0) fs.close(fd)
  }
}

function mayContinue(bytes: Uint8Array, at: number): boolean {
  return bytes.length - at >= FRAME_HEADER_BYTES && claimedPayload(bytes, at) !== null
}

/** C0, DEL, C1, and what reorders or hides text on a terminal: bidirectional controls, zero-width and other format characters, separators, lone surrogates, private use. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu

/** Text of a record made safe for a terminal: nothing in it moves the cursor, hides or reorders what stands around it. */
export function escapeForDisplay(text: string): string {
  return text.replace(/\\/gu, '\\\\').replace(UNSAFE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)
}
