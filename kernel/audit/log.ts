/** The appender both kinds of log share: order, chain, tree, segments, one write and one flush for everything pending, and the latch. */
import type { Hash } from 'node:crypto'
import type { Json, RandomBytes } from '../vocabulary/index.ts'
import { crc32c } from './crc32c.ts'
import { auditError, ioError } from './errors.ts'
import { joinPath, writeFully } from './files.ts'
import { Chain, closeFrame, frameBytes } from './frame.ts'
import type { AuditFs } from './fs.ts'
import { sha256Stream } from './hash.ts'
import { FRAME_HEADER_BYTES, MAX_FLUSH_RECORDS, MAX_NESTING, MAX_PAYLOAD_BYTES, MAX_PENDING_BYTES, MAX_SEGMENTS, SEGMENT_HEADER_BYTES } from './limits.ts'
import { CompactRange } from './merkle.ts'
import { encodeHeader, type SegmentHeader, segmentName, startChain, UNFINISHED_SEGMENT } from './segment.ts'

const COMMA = 0x2c
/** Bytes of the members the log itself puts before those of a record, at most. */
const STAMP_BYTES = 128
/** Most bytes of UTF-8 one unit of a JavaScript string becomes. */
const UTF8_BYTES = 3
const FIRST_PENDING_BYTES = 64 * 1024
const ZEROS_AT_ONCE = 1024 * 1024

export interface LogSettings {
  readonly fs: AuditFs
  readonly folder: string
  readonly random: RandomBytes
  /** Size a segment is cut at. */
  readonly segmentBytes: (number: number) => number
  /** Zeros are written ahead, so that a flush changes no metadata. */
  readonly preallocate: boolean
  /** Bytes of all frames at most. */
  readonly maxBytes: number
  /** RFC 3339 UTC with ms, and ms since an arbitrary start. */
  readonly stamp: () => { readonly t: string; readonly boot_ms: number }
}

/** Where an existing log stands (scan.ts). */
export interface LogState {
  readonly header: SegmentHeader
  /** Bytes of header and frames in the last segment. */
  readonly offset: number
  /** Bytes of all segments before the last. */
  readonly before: number
  readonly chain: Uint8Array
  readonly range: CompactRange
  /** Hash of the first `offset` bytes of the last segment. */
  readonly hasher: Hash
}

export class Log {
  readonly #settings: LogSettings
  #header: SegmentHeader
  #fd: number
  #path: string
  #saltCrc: number
  #hasher: Hash
  readonly #chain: Chain
  readonly #range: CompactRange
  #offset: number
  #before: number
  /** The frames of the next flush, and behind them the payload under way. */
  #pending = Buffer.alloc(FIRST_PENDING_BYTES)
  #used = 0
  #flushFirst: number
  #broken: string | null = null

  private constructor(settings: LogSettings, state: LogState, fd: number) {
    this.#settings = settings
    this.#header = state.header
    this.#path = joinPath(settings.folder, segmentName(state.header.number))
    this.#fd = fd
    this.#saltCrc = crc32c(state.header.salt)
    this.#hasher = state.hasher
    this.#chain = new Chain(state.chain)
    this.#range = state.range
    this.#offset = state.offset
    this.#before = state.before
    this.#flushFirst = state.range.size
  }

  /** A new log with an empty segment 0. The folder exists and is checked. Throws E_AUDIT. */
  static create(settings: LogSettings, origin: string, logId: Uint8Array): Log {
    const zeros = new Uint8Array(32)
    const header: SegmentHeader = {
      origin,
      logId,
      number: 0,
      firstSeq: 0,
      salt: settings.random(16),
      previous: zeros,
      chain: zeros,
      range: new CompactRange(),
    }
    const { fd, hasher, bytes } = createSegment(settings, header)
    return new Log(
      settings,
      { header, offset: SEGMENT_HEADER_BYTES, before: 0, chain: startChain(bytes), range: new CompactRange(), hasher },
      fd,
    )
  }

  /** Continues a log at the state a scan found; the last segment is open for writing as `fd`. */
  static resume(settings: LogSettings, state: LogState, fd: number): Log {
    return new Log(settings, state, fd)
  }

  get origin(): string {
    return this.#header.origin
  }
  /** Records appended, durable or not. */
  get size(): number {
    return this.#range.size
  }
  get chain(): Uint8Array {
    return this.#chain.value.slice()
  }
  get pending(): boolean {
    return this.#used > 0
  }
  get bytes(): number {
    return this.#before + this.#offset + this.#used
  }
  get broken(): string | null {
    return this.#broken
  }

  root(): Uint8Array {
    return this.#range.root()
  }

  /** Bytes of all frames: what `log_bytes` limits. */
  get frameBytes(): number {
    return this.bytes - (this.#header.number + 1) * SEGMENT_HEADER_BYTES
  }

  /** Gives the record its place. Throws E_AUDIT when broken or too large, LogFull when less than `keep` bytes would be left behind it: then nothing has changed. */
  append(body: { readonly [key: string]: Json | undefined }, keep = 0): number {
    if (this.#broken !== null) throw auditError(this.#broken)
    const seq = this.#range.size
    const written = this.#encode(seq, body)
    if (written > MAX_PAYLOAD_BYTES) throw auditError(`A ${String(body.type)} record of more than ${MAX_PAYLOAD_BYTES} bytes was refused.`)
    if (this.frameBytes + frameBytes(written) + keep > this.#settings.maxBytes) throw new LogFull(frameBytes(written))
    this.#makeRoom(frameBytes(written))
    if (this.#used === 0) this.#flushFirst = seq
    this.#chain.add(this.#pending, this.#used, written)
    const around = { seq, back: seq - this.#flushFirst, chain: this.#chain.value }
    this.#used += closeFrame(this.#pending, this.#used, written, around, this.#saltCrc)
    this.#range.append(this.#chain.leaf)
    return seq
  }

  /**
   * Writes the payload where its frame will stand if nothing has to be flushed before. Returns its bytes, or Infinity.
   * The body never has these three members: putting them before its own is the same as stringifying the whole.
   */
  #encode(seq: number, body: { readonly [key: string]: Json | undefined }): number {
    const { t, boot_ms } = this.#settings.stamp()
    const text = stringified(body)
    // A text of few brackets cannot nest deep, and counting them is quicker than going through the members.
    if (text === null || (mayNest(text, MAX_NESTING) && nests(body, MAX_NESTING)))
      throw auditError(`A ${String(body.type)} record that nests more than ${MAX_NESTING} deep was refused.`)
    if (text.length > MAX_PAYLOAD_BYTES) return Number.POSITIVE_INFINITY
    const at = this.#used + FRAME_HEADER_BYTES
    this.#widen(at + STAMP_BYTES + UTF8_BYTES * text.length)
    const own = this.#pending.write(`{"seq":${seq},"t":"${t}","boot_ms":${boot_ms}`, at, 'latin1')
    const rest = this.#pending.write(text, at + own, 'utf8')
    // In place of the body's own brace.
    this.#pending[at + own] = COMMA
    return own + rest
  }

  #widen(bytes: number): void {
    if (bytes <= this.#pending.length) return
    const wider = Buffer.alloc(Math.max(this.#pending.length * 2, bytes))
    wider.set(this.#pending.subarray(0, this.#used))
    this.#pending = wider
  }

  /** Makes everything appended durable: one write, one flush. Any failure latches for good: after a failed flush the next one may report success for lost pages. */
  flush(): void {
    if (this.#broken !== null) throw auditError(this.#broken)
    if (this.#used === 0) return
    const bytes = this.#pending.subarray(0, this.#used)
    this.#guard('write', () => {
      writeFully(this.#settings.fs, this.#fd, bytes, this.#offset)
      this.#settings.fs.datasync(this.#fd)
    })
    this.#hasher.update(bytes)
    this.#offset += this.#used
    this.#used = 0
  }

  /** Flushes, cuts the preallocated zeros off and closes: the file then ends with its last frame. */
  finish(): void {
    this.flush()
    this.#trim()
    this.close()
  }

  /** Lets go of the file as it is. */
  close(): void {
    if (this.#fd < 0) return
    const fd = this.#fd
    this.#fd = -1
    this.#broken ??= 'The audit log is closed.'
    try {
      this.#settings.fs.close(fd)
    } catch (error) {
      throw ioError('close', this.#path, error)
    }
  }

  #guard<T>(what: string, action: () => T): T {
    try {
      return action()
    } catch (error) {
      const failure = ioError(what, this.#path, error)
      this.#broken = `${failure.message} Nothing is allowed any more.`
      throw failure
    }
  }

  /** Rotates, or flushes what would be too much at once; the payload under way then moves to the beginning. */
  #makeRoom(bytes: number): void {
    const under = this.#used
    const end = this.#offset + this.#used
    if (end + bytes > this.#settings.segmentBytes(this.#header.number) && this.size > this.#header.firstSeq) this.#rotate()
    if (this.#used > 0 && (this.#used + bytes > MAX_PENDING_BYTES || this.size - this.#flushFirst >= MAX_FLUSH_RECORDS)) this.flush()
    if (this.#used < under) this.#pending.copyWithin(0, under, under + bytes)
  }

  #trim(): void {
    this.#guard('trim', () => {
      this.#settings.fs.truncate(this.#fd, this.#offset)
      this.#settings.fs.datasync(this.#fd)
    })
  }

  /** The old segment is whole, trimmed and durable before the new one exists. */
  #rotate(): void {
    this.flush()
    this.#trim()
    const number = this.#header.number + 1
    const header: SegmentHeader = {
      ...this.#header,
      number,
      firstSeq: this.size,
      salt: this.#settings.random(16),
      previous: new Uint8Array(this.#hasher.digest()),
      chain: this.chain,
      range: this.#range.copy(),
    }
    const { fd, hasher } = this.#guard('start a segment after', () => {
      if (number >= MAX_SEGMENTS) throw new RangeError(`a log has at most ${MAX_SEGMENTS} segments`)
      this.#settings.fs.close(this.#fd)
      this.#fd = -1
      return createSegment(this.#settings, header)
    })
    this.#before += this.#offset
    this.#fd = fd
    this.#header = header
    this.#path = joinPath(this.#settings.folder, segmentName(number))
    this.#saltCrc = crc32c(header.salt)
    this.#hasher = hasher
    this.#offset = SEGMENT_HEADER_BYTES
  }
}

/** Null when it nests deeper than the engine can go. */
function stringified(body: { readonly [key: string]: Json | undefined }): string | null {
  try {
    return JSON.stringify(body)
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}

/** Whether a text has more than so many opening brackets, those inside its strings too. */
function mayNest(text: string, levels: number): boolean {
  let left = levels
  for (let at = text.indexOf('{'); at >= 0; at = text.indexOf('{', at + 1)) if (left-- === 0) return true
  for (let at = text.indexOf('['); at >= 0; at = text.indexOf('[', at + 1)) if (left-- === 0) return true
  return false
}

/** Whether a value has more than `levels` objects and lists within each other. */
function nests(value: Json | { readonly [key: string]: Json | undefined } | undefined, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (levels === 0) return true
  // Most members are no objects: they are passed over here, not by a call for each.
  for (const member of Array.isArray(value) ? value : Object.values(value))
    if (typeof member === 'object' && member !== null && nests(member, levels - 1)) return true
  return false
}

/** Out of room, not broken. */
export class LogFull extends Error {
  /** Bytes of the frame that did not fit. */
  readonly frameBytes: number

  constructor(frameBytes: number) {
    super('the audit log has no room for it')
    this.frameBytes = frameBytes
  }
}

/** Header and preallocated zeros, durable before the file has its name: a segment is there whole or not at all, whenever the machine stops. */
function createSegment(settings: LogSettings, header: SegmentHeader): { fd: number; hasher: Hash; bytes: Uint8Array } {
  const { fs, folder } = settings
  const path = joinPath(folder, segmentName(header.number))
  const bytes = encodeHeader(header)
  let fd = -1
  try {
    if (fs.lstat(path)) throw new RangeError('it is there already')
    removeUnfinished(fs, folder)
    fd = fs.open(joinPath(folder, UNFINISHED_SEGMENT), 'create')
    if (settings.preallocate) writeZeros(fs, fd, SEGMENT_HEADER_BYTES, settings.segmentBytes(header.number))
    writeFully(fs, fd, bytes, 0)
    fs.datasync(fd)
    fs.rename(joinPath(folder, UNFINISHED_SEGMENT), path)
    fs.syncFolder(folder)
  } catch (error) {
    if (fd >= 0) fs.close(fd)
    throw ioError('make', path, error)
  }
  const hasher = sha256Stream()
  hasher.update(bytes)
  return { fd, hasher, bytes }
}

/** What a crash left of a segment that was being made. */
export function removeUnfinished(fs: AuditFs, folder: string): void {
  const path = joinPath(folder, UNFINISHED_SEGMENT)
  if (fs.lstat(path)) fs.remove(path)
}

/** Real zeros, not a hole: writing into a hole changes metadata at every flush. */
function writeZeros(fs: AuditFs, fd: number, from: number, to: number): void {
  const zeros = new Uint8Array(Math.min(ZEROS_AT_ONCE, Math.max(0, to - from)))
  for (let at = from; at < to; at += zeros.length) writeFully(fs, fd, zeros.subarray(0, Math.min(zeros.length, to - at)), at)
}
