/** The appender both kinds of log share: order, chain, tree, segments, one write and one flush for everything pending, and the latch. */
import type { Hash } from 'node:crypto'
import type { RandomBytes } from '../vocabulary/index.ts'
import { crc32c } from './crc32c.ts'
import { auditError, ioError } from './errors.ts'
import { joinPath, writeFully } from './files.ts'
import { Chain, closeFrame, frameBytes } from './frame.ts'
import type { AuditFs } from './fs.ts'
import { sha256Stream } from './hash.ts'
import {
  FRAME_HEADER_BYTES,
  HASH_AT_ONCE_BYTES,
  MAX_FLUSH_RECORDS,
  MAX_PENDING_BYTES,
  MAX_SEGMENTS,
  SEGMENT_HEADER_BYTES,
  START_WRITING_BYTES,
} from './limits.ts'
import { CompactRange } from './merkle.ts'
import { type LogBody, Payload } from './payload.ts'
import { encodeHeader, type SegmentHeader, segmentName, startChain, UNFINISHED_SEGMENT } from './segment.ts'

const FIRST_FRAMES_BYTES = 64 * 1024
/** A write makes pages of its own size in the kernel's cache, and ext4 looks at each block of a page at every later write into it: 2.2 µs in pages of 1 MiB, 0.8 here. */
const ZEROS_AT_ONCE = 64 * 1024

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
  /** Members of every record that say when (payload.ts). */
  readonly stamp: () => string
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
  readonly #payload = new Payload()
  /** Frames: those that are written but not in #hasher yet, then those of the next flush. */
  #frames = new Uint8Array(FIRST_FRAMES_BYTES)
  #written = 0
  #used = 0
  #flushFirst: number
  #segmentEnd: number
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
    this.#segmentEnd = settings.segmentBytes(state.header.number)
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
    return this.#used > this.#written
  }
  get bytes(): number {
    return this.#before + this.#offset + this.#used - this.#written
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
  append(body: LogBody, keep = 0): number {
    if (this.#broken !== null) throw auditError(this.#broken)
    const seq = this.#range.size
    this.#payload.encode(seq, this.#settings.stamp(), body)
    const bytes = frameBytes(this.#payload.length)
    if (this.frameBytes + bytes + keep > this.#settings.maxBytes) throw new LogFull(bytes)
    this.#makeRoom(bytes)
    if (!this.pending) this.#flushFirst = seq
    this.#payload.leafInto(this.#chain.leaf)
    this.#chain.advance()
    this.#range.append(this.#chain.leaf)
    this.#payload.copyInto(this.#frames, this.#used + FRAME_HEADER_BYTES)
    const around = { seq, back: seq - this.#flushFirst, chain: this.#chain.value }
    this.#used += closeFrame(this.#frames, this.#used, this.#payload.length, around, this.#saltCrc)
    return seq
  }

  /** Makes everything appended durable: one write, one flush. Any failure latches for good: after a failed flush the next one may report success for lost pages. */
  flush(): void {
    if (this.#broken !== null) throw auditError(this.#broken)
    if (!this.pending) return
    const { fs } = this.#settings
    const bytes = this.#used - this.#written
    try {
      writeFully(fs, this.#fd, this.#frames, this.#offset, this.#written, this.#used)
      this.#written = this.#used
      if (bytes >= START_WRITING_BYTES) fs.startWriting(this.#fd, this.#offset, bytes)
      // While the device is at work.
      if (this.#written >= HASH_AT_ONCE_BYTES) this.#hashWritten()
      fs.datasync(this.#fd)
    } catch (error) {
      this.#break('write', error)
    }
    this.#offset += bytes
  }

  /** Brings the hash of the segment up to what is written: for many records at once, a call for each costs as much as the hashing. */
  #hashWritten(): void {
    this.#hasher.update(this.#frames.subarray(0, this.#written))
    this.#frames.copyWithin(0, this.#written, this.#used)
    this.#used -= this.#written
    this.#written = 0
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
      return this.#break(what, error)
    }
  }

  #break(what: string, error: unknown): never {
    const failure = ioError(what, this.#path, error)
    this.#broken = `${failure.message} Nothing is allowed any more.`
    throw failure
  }

  #makeRoom(bytes: number): void {
    const pending = this.#used - this.#written
    if (this.#offset + pending + bytes > this.#segmentEnd && this.size > this.#header.firstSeq) this.#rotate()
    else if (pending > 0 && (pending + bytes > MAX_PENDING_BYTES || this.size - this.#flushFirst >= MAX_FLUSH_RECORDS)) this.flush()
    if (this.#used + bytes <= this.#frames.length) return
    this.#hashWritten()
    if (this.#used + bytes <= this.#frames.length) return
    const larger = new Uint8Array(Math.max(this.#frames.length * 2, this.#used + bytes))
    larger.set(this.#frames.subarray(0, this.#used))
    this.#frames = larger
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
    this.#hashWritten()
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
    this.#segmentEnd = this.#settings.segmentBytes(number)
  }
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
  for (let at = from; at < to; at += zeros.length) writeFully(fs, fd, zeros, at, 0, Math.min(zeros.length, to - at))
}
