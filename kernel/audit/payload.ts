/** The record under way, in memory that stays: written as text, hashed where it lies, copied into its frame. */
import type { Clock, Json } from '../vocabulary/index.ts'
import { auditError } from './errors.ts'
import { sha256Into } from './hash.ts'
import { MAX_NESTING, MAX_PAYLOAD_BYTES } from './limits.ts'
import { PlainRecords } from './plain-records.ts'
import type { RecordBody } from './types.ts'

const LEAF = 0x00
const COMMA = 0x2c
const DIGIT_0 = 0x30
/** What every payload begins with; then the digits of its number. */
const SEQ = '{"seq":'
/** Bytes of the members the log itself puts before those of a record, at most. */
const STAMP_BYTES = 128
/** Most bytes of UTF-8 one unit of a JavaScript string becomes. */
const UTF8_BYTES = 3
/** Payloads up to this long, nearly all, are hashed through a view made once for each length: making one costs as much as hashing 64 bytes. */
const KEPT_VIEWS = 2048

/** A record's own members. Only `detail` has no form of its own. */
export interface LogBody {
  readonly type?: Json | undefined
  readonly detail?: Json | undefined
  readonly [key: string]: Json | undefined
}

export class Payload {
  /** 0x00 and the payload: what its leaf is the hash of. */
  readonly #leaf = Buffer.allocUnsafe(1 + STAMP_BYTES + UTF8_BYTES * MAX_PAYLOAD_BYTES)
  readonly #plain = new PlainRecords(this.#leaf)
  readonly #views: Uint8Array[] = []
  #length = 0
  /** The head in memory: its stamp, its length, and the smallest number with as many digits as its own. */
  #stamp = ''
  #headBytes = 0
  #digits = 0
  #least = Number.POSITIVE_INFINITY

  constructor() {
    this.#leaf[0] = LEAF
  }

  /** Bytes of it. */
  get length(): number {
    return this.#length
  }

  /** `stamp` as stampOf makes it. The body has neither these members nor `seq`: putting them before its own is the same as stringifying the whole. Throws E_AUDIT. */
  encode(seq: number, stamp: string, body: LogBody): void {
    const head = this.#writeHead(seq, stamp)
    const end = this.#plain.write(body as unknown as RecordBody, 1 + head)
    this.#length = end === null ? this.#stringify(body, head) : end - 1
    if (this.#length > MAX_PAYLOAD_BYTES)
      throw auditError(`A ${String(body.type)} record of more than ${MAX_PAYLOAD_BYTES} bytes was refused.`)
  }

  /** Bytes of the whole. */
  #stringify(body: LogBody, head: number): number {
    const text = stringified(body)
    if (text === null || nests(body.detail, MAX_NESTING - 1))
      throw auditError(`A ${String(body.type)} record that nests more than ${MAX_NESTING} deep was refused.`)
    if (text.length > MAX_PAYLOAD_BYTES) return Number.POSITIVE_INFINITY
    const bytes = this.#leaf.write(text, 1 + head, 'utf8')
    // In place of the body's own brace.
    this.#leaf[1 + head] = COMMA
    return head + bytes
  }

  /** Records of one ms have the same head but for their number: its digits are written over those of the one before. */
  #writeHead(seq: number, stamp: string): number {
    if (stamp !== this.#stamp || seq < this.#least || seq >= this.#least * 10) {
      const number = String(seq)
      this.#stamp = stamp
      this.#digits = number.length
      this.#least = 10 ** (number.length - 1)
      this.#headBytes = this.#leaf.write(`${SEQ}${number},${stamp}`, 1, 'latin1')
      return this.#headBytes
    }
    let left = seq
    for (let at = SEQ.length + this.#digits; left > 0; at--) {
      this.#leaf[at] = DIGIT_0 + (left % 10)
      left = Math.floor(left / 10)
    }
    return this.#headBytes
  }

  leafInto(out: Uint8Array): void {
    sha256Into(this.#view(), out)
  }

  copyInto(bytes: Uint8Array, at: number): void {
    this.#leaf.copy(bytes, at, 1, 1 + this.#length)
  }

  #view(): Uint8Array {
    const known = this.#views[this.#length]
    if (known !== undefined) return known
    const view = this.#leaf.subarray(0, 1 + this.#length)
    if (this.#length <= KEPT_VIEWS) this.#views[this.#length] = view
    return view
  }
}

/** Members `t` and `boot_ms` of a record made now. Many records share a ms: their text is made once. */
export function stampOf(clock: Clock): () => string {
  let [wall, boot, text] = [Number.NaN, Number.NaN, '']
  return () => {
    const now = clock.wallMs()
    const boot_ms = Math.floor(clock.monotonicMs())
    if (now !== wall || boot_ms !== boot) text = `"t":"${new Date(now).toISOString()}","boot_ms":${boot_ms}`
    wall = now
    boot = boot_ms
    return text
  }
}

/** Null when it nests deeper than the engine can go. */
function stringified(body: LogBody): string | null {
  try {
    return JSON.stringify(body)
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}

/** Whether a value has more than `levels` objects and lists within each other. */
function nests(value: Json | undefined, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (levels === 0) return true
  // Most members are no objects: they are passed over here, not by a call for each.
  for (const member of Array.isArray(value) ? value : Object.values(value))
    if (typeof member === 'object' && member !== null && nests(member, levels - 1)) return true
  return false
}
