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

const EVERY_TYPE: Readonly<Record<RecordType, true>> = {
  RUN_START: true,
  INTENT: true,
  OUTCOME: true,
  LEASE: true,
  CLOSE: true,
  DENY: true,
  DENY_REPEAT: true,
  LOOK: true,
  STDIO: true,
  TIME: true,
  REVOKE: true,
  APPROVAL: true,
  POLICY: true,
  LIMIT: true,
  LEASED: true,
  USES: true,
  MARK: true,
  GUEST: true,
  CHECKPOINT: true,
  RECOVERED: true,
  FATAL: true,
  RUN_END: true,
}
export const RECORD_TYPES = Object.keys(EVERY_TYPE) as readonly RecordType[]

export type Decision = 'allowed' | 'denied' | 'asked'
const DECIDED: Readonly<Record<Decision, readonly RecordType[]>> = {
  allowed: ['INTENT', 'LOOK'],
  denied: ['DENY', 'DENY_REPEAT'],
  asked: ['APPROVAL'],
}

export interface RecordFilter {
  /** First and last sequence number, both included. */
  readonly from?: number
  readonly to?: number
  readonly types?: readonly RecordType[]
  /** Operation name, e.g. `fs.open`. */
  readonly op?: string
  /** Only what was refused: DENY and DENY_REPEAT. */
  readonly denied?: boolean
  /** How it was decided: INTENT and LOOK are allowed, DENY is denied, APPROVAL asked. */
  readonly decision?: Decision
  /** RFC 3339 times, the first included, the second not; any prefix will do (`2026-11-23T04`). */
  readonly since?: string
  readonly until?: string
  /** Part of the object or of what was asked for. */
  readonly object?: string
  /** Part of the rule that decided. */
  readonly rule?: string
  /** Session, capability block or claimed program, whole. */
  readonly subject?: string
}

/** The whole records of a log in order, as far as they can be read; stops at the first that is not whole. Throws E_AUDIT when there is no log. */
export async function* readRecords(path: string, filter: RecordFilter = {}, fs: AuditFs = hostFs): AsyncGenerator<ShownRecord, void> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  for (const payload of readPayloads(path, fs, filter.from ?? 0)) {
    const record = JSON.parse(decoder.decode(payload)) as ShownRecord
    if (filter.to !== undefined && record.seq > filter.to) return
    if (passesFilter(record, filter)) yield record
  }
}

/** Whether a record is what the filter asks for. */
export function passesFilter(record: ShownRecord, filter: RecordFilter): boolean {
  const { from, to, types, denied, decision, since, until, subject } = filter
  if ((from !== undefined && record.seq < from) || (to !== undefined && record.seq > to)) return false
  if (types && !types.includes(record.type)) return false
  if (denied && record.type !== 'DENY' && record.type !== 'DENY_REPEAT') return false
  if (decision !== undefined && !DECIDED[decision].includes(record.type)) return false
  if (since !== undefined && record.t < since) return false
  if (until !== undefined && record.t >= until) return false
  return aboutWhat(record).some((facts) => isAbout(facts, filter)) && (subject === undefined || isBy(record, subject))
}

interface Facts {
  readonly op?: string
  readonly object?: string
  readonly requested?: string
  readonly rule?: string | null
}

/** What a record decided: of several looks in one record each by itself. */
function aboutWhat(record: ShownRecord): readonly Facts[] {
  if (record.type === 'LOOK') return record.counts
  return record.type === 'INTENT' || record.type === 'DENY' || record.type === 'APPROVAL' ? [record] : [{}]
}

function isAbout(facts: Facts, { op, object, rule }: RecordFilter): boolean {
  if (op !== undefined && facts.op !== op) return false
  if (object !== undefined && !(facts.object?.includes(object) || facts.requested?.includes(object))) return false
  return rule === undefined || facts.rule?.includes(rule) === true
}

function isBy(record: ShownRecord, subject: string): boolean {
  switch (record.type) {
    case 'INTENT':
      return record.session === subject || record.claimed?.exe === subject || record.blocks.includes(subject)
    case 'DENY':
      return record.session === subject || record.claimed?.exe === subject
    case 'APPROVAL':
      return record.session === subject || record.by === subject
    default:
      return false
  }
}

/**
 * As readRecords, and goes on: waits for what a gate still writes, until RUN_END or until `stop` says so. `wait` pauses between two looks.
 * A record is read again from the start of its segment's frames, so that nothing is missed where segments change.
 */
export async function* followRecords(
  path: string,
  filter: RecordFilter,
  wait: () => Promise<void>,
  stop: () => boolean,
  fs: AuditFs = hostFs,
): AsyncGenerator<ShownRecord, void> {
  let next = filter.from ?? 0
  while (!stop()) {
    let ended = false
    for await (const record of readRecords(path, { from: next }, fs)) {
      next = record.seq + 1
      ended ||= record.type === 'RUN_END'
      if (filter.to !== undefined && record.seq > filter.to) return
      if (passesFilter(record, filter)) yield record
    }
    if (ended) return
    await wait()
  }
}

/** Bytes of all frames of a sealed log: what `log_bytes` limits. */
export function frameBytesOf(path: string, fs: AuditFs = hostFs): number {
  const sizes = folderSegments(path, fs).map((number) => fs.lstat(joinPath(path, segmentName(number)))?.size ?? 0)
  return sizes.reduce((sum, size) => sum + Math.max(0, size - SEGMENT_HEADER_BYTES), 0)
}

/** The payloads of the whole records in order; views that live until the next one. */
export function* readPayloads(path: string, fs: AuditFs = hostFs, from = 0): Generator<Uint8Array, void> {
  const numbers = folderSegments(path, fs)
  const first = from === 0 ? { at: 0, seq: 0 } : segmentOf(path, fs, numbers, from)
  let { seq } = first
  for (const number of numbers.slice(first.at)) {
    for (const payload of segmentPayloads(fs, joinPath(path, segmentName(number)), seq)) {
      yield payload
      seq++
    }
  }
}

/** The last segment that begins at or before record `from`, so that following a long log does not read it from its start each time. */
function segmentOf(path: string, fs: AuditFs, numbers: readonly number[], from: number): { readonly at: number; readonly seq: number } {
  for (let at = numbers.length - 1; at > 0; at--) {
    const seq = firstSeqIn(fs, joinPath(path, segmentName(numbers[at] ?? 0)))
    if (seq !== null && seq <= from) return { at, seq }
  }
  return { at: 0, seq: 0 }
}

function firstSeqIn(fs: AuditFs, path: string): number | null {
  const fd = fs.open(path, 'read')
  try {
    return decodeHeader(readRange(fs, fd, 0, SEGMENT_HEADER_BYTES)).firstSeq
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  } finally {
    fs.close(fd)
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
