/** Walks a log of either kind record by record and proves its frames, chain, tree, segments and checkpoints on the way. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { CheckpointReader } from './checkpoint-reader.ts'
import { frameLength, wholeFrame } from './frame-check.ts'
import { countSegments, Input } from './input.ts'
import { FRAME_HEADER, HEADER, MAX_PAYLOAD, MAX_SEGMENT } from './limits.ts'
import { crcAdd, crcEnd, type Head, Pair, type PublicKey, sha256, sha256Into, Tree, utf8 } from './primitives.ts'
import { judgeTail } from './tail.ts'
import { Tampered, Unreadable } from './verdict.ts'

export interface LogRecord {
  readonly seq: number
  /** The payload; null when it is not UTF-8. */
  readonly text: string | null
  readonly file: string
  readonly offset: number
}

/** A record of its type, in the one form records have. */
const ROTATION = /^\{"seq":\d+,"t":"[^"]*","boot_ms":\d+,"type":"KEY_ROTATED"/

/** Grows while the log is walked; complete when the walk is. */
export class Walk {
  readonly folder: string
  /** One for a run; for an installation log all it ever had, the first in front. */
  readonly keys: readonly PublicKey[]
  /** Position of the key in force: how many KEY_ROTATED records were read. */
  epoch = 0
  readonly tree = new Tree()
  origin: string | null = null
  /** 32 hex digits. */
  logId: string | null = null
  readonly chain = Buffer.alloc(32)
  readonly #link = new Pair(2)
  readonly #leaf = Buffer.alloc(32)
  segments = 0
  bytes = 0
  /** Of the frames alone. */
  frameBytes = 0
  checkpoints = 0
  lastHead: Head | null = null
  /** A checkpoint signed exactly the records read so far. */
  covered = false
  /** `exact`: the last file ends with its last frame. */
  tail: 'exact' | 'zeros' | 'torn' = 'exact'
  tailBytes = 0
  checkpointTailBytes = 0
  /** Records in the last segment. */
  inLastSegment = 0

  constructor(folder: string, keys: readonly PublicKey[]) {
    this.folder = folder
    this.keys = keys
  }

  /** Throws Tampered or Unreadable. */
  *records(): Generator<LogRecord, void> {
    this.segments = countSegments(this.folder)
    const notes = new CheckpointReader(join(this.folder, 'checkpoints'), this.keys)
    try {
      let previous: Buffer = Buffer.alloc(32)
      for (let n = 0; n < this.segments; n++) previous = yield* this.#segment(n, previous, notes)
      const beyond = notes.peek()
      if (beyond)
        throw new Tampered(`a checkpoint signed ${beyond.size} records and there are ${this.tree.size}: records are missing`, notes.path)
      this.checkpointTailBytes = notes.tornBytes
    } finally {
      notes.close()
    }
  }

  *#segment(number: number, previous: Buffer, notes: CheckpointReader): Generator<LogRecord, Buffer> {
    const hash = createHash('sha256')
    const name = `seg-${String(number).padStart(8, '0')}.log`
    const input = Input.open(join(this.folder, name), MAX_SEGMENT, (bytes) => hash.update(bytes))
    if (!input) throw new Tampered('a segment is missing', join(this.folder, name))
    try {
      this.bytes += input.size
      const salt = this.#header(input, number, previous)
      const before = this.tree.size
      const end = yield* this.#frames(input, salt, notes)
      this.#end(input, end, salt, number)
      this.inLastSegment = this.tree.size - before
      return hash.digest()
    } finally {
      input.close()
    }
  }

  /** Returns the CRC state after the salt. */
  #header(input: Input, number: number, previous: Buffer): number {
    const h = input.view(0, HEADER)
    const bad = (what: string): Tampered => new Tampered(what, input.path, 0)
    if (h.length < HEADER)
      throw number === 0 && this.segments === 1
        ? new Unreadable('the log has no whole header: nothing was recorded', input.path)
        : bad('the segment header is cut short')
    if (h.toString('latin1', 0, 8) !== 'AUTHLOG\n')
      throw number === 0 ? new Unreadable('this is not an audit log', input.path) : bad('this is not a segment')
    if (h.readUInt16BE(8) !== 1) throw new Unreadable(`format version ${h.readUInt16BE(8)} is not known to this build`, input.path)
    if (crcEnd(crcAdd(-1, h, 0, HEADER - 4)) !== h.readUInt32BE(HEADER - 4)) throw bad('the checksum of the segment header is wrong')
    const originBytes = h[153] as number
    const origin = h.toString('utf8', 154, 154 + originBytes)
    const logId = h.toString('hex', 24, 40)
    const peaks = this.tree.peaks()
    const tree = Buffer.concat([this.tree.root(), Buffer.of(peaks.length), h.subarray(153, 416), ...peaks])
    const zeros = (from: number, to: number): boolean => h.subarray(from, to).every((b) => b === 0)
    const first = number === 0
    if (h.readUInt16BE(10) !== HEADER || h.readUInt32BE(12) !== number) throw bad(`the header is that of segment ${h.readUInt32BE(12)}`)
    if (h.readBigUInt64BE(16) !== BigInt(this.tree.size)) throw bad('the segment does not begin with the next record')
    if (!h.subarray(56, 88).equals(previous)) throw bad('the segment before it was changed: its SHA-256 is another')
    if (first ? !zeros(88, 120) : !h.subarray(88, 120).equals(this.chain)) throw bad('the chain does not continue here')
    if (!h.subarray(120, 120 + tree.length).equals(tree)) throw bad('the tree before this segment is another')
    if (!zeros(154 + originBytes, 416) || !zeros(416 + 32 * peaks.length, HEADER - 4))
      throw bad('there are bytes where the header has none')
    if (!first && (origin !== this.origin || logId !== this.logId)) throw bad('the segment is of another log')
    this.origin = origin
    this.logId = logId
    if (first) this.chain.set(sha256(Buffer.of(3), h))
    return crcAdd(-1, h, 40, 56)
  }

  /** Yields every whole frame that continues the log; returns the offset where they stop. */
  *#frames(input: Input, salt: number, notes: CheckpointReader): Generator<LogRecord, number> {
    let at = HEADER
    for (;;) {
      if (at + FRAME_HEADER > input.size) return at
      let from = input.locate(at, FRAME_HEADER)
      const length = input.window.readUInt16BE(from)
      const total = frameLength(length)
      if (length < 2 || length > MAX_PAYLOAD || at + total > input.size) return at
      from = input.locate(at, total)
      const bytes = input.window
      const seq = this.tree.size
      if (!wholeFrame(bytes, from, length, salt, input.words)) return at
      if (bytes.readUInt32BE(from + 8) !== Math.floor(seq / 2 ** 32) || bytes.readUInt32BE(from + 12) !== seq % 2 ** 32) return at
      const text = utf8(bytes, from + FRAME_HEADER, from + FRAME_HEADER + length)
      if (this.keys.length > 1 && text !== null && ROTATION.test(text)) this.epoch++
      this.frameBytes += total
      this.#extend(bytes, from, length, input.path, at, notes)
      yield { seq, text, file: input.path, offset: at }
      at += total
    }
  }

  #extend(bytes: Buffer, from: number, length: number, file: string, offset: number, notes: CheckpointReader): void {
    const seq = this.tree.size
    const payload = from + FRAME_HEADER
    // The byte before the payload makes room for the leaf's prefix: 0x00 ‖ payload without copying the payload.
    const before = bytes[payload - 1] as number
    bytes[payload - 1] = 0
    sha256Into(bytes.subarray(payload - 1, payload + length), this.#leaf)
    bytes[payload - 1] = before
    this.#link.setLeft(this.chain)
    this.#link.hash(this.#leaf, this.chain)
    if (!sameHash(bytes, from + 16, this.chain)) throw new Tampered('the hash chain breaks here', file, offset, seq)
    this.tree.add(this.#leaf)
    const note = notes.peek()
    this.covered = note?.size === this.tree.size
    if (!note || !this.covered) return
    if (!note.root.equals(this.tree.root()))
      throw new Tampered(`the checkpoint of ${note.size} records signed another root`, notes.path, null, seq)
    if (note.origin !== this.origin) throw new Tampered(`the checkpoint of ${note.size} records is of another log`, notes.path, null, seq)
    if (!note.signers.includes(this.epoch))
      throw new Tampered(`the checkpoint of ${note.size} records is signed with a key that was not in force`, notes.path, null, seq)
    this.checkpoints++
    this.lastHead = note
    notes.advance()
  }

  #end(input: Input, end: number, salt: number, number: number): void {
    if (end === input.size) return
    if (number !== this.segments - 1)
      throw new Tampered(`record ${this.tree.size} is broken, and a segment follows`, input.path, end, this.tree.size)
    const { kind, bytes } = judgeTail(input, end, salt, this.tree.size)
    this.tail = kind
    this.tailBytes = bytes
  }
}

function sameHash(bytes: Buffer, at: number, hash: Buffer): boolean {
  for (let i = 0; i < 32; i += 4) if (bytes.readInt32LE(at + i) !== hash.readInt32LE(i)) return false
  return true
}
