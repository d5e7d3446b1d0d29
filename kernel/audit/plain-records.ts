/**
 * INTENT and OUTCOME, which nearly all records are, as JSON.stringify would write them, straight into memory: without a text for each, and with what the effects of
 * a session have in common made once. A body that is not plain (text that is escaped or not ASCII, a detail) is left to JSON.stringify.
 */
import type { Charges } from '../vocabulary/index.ts'
import { KEPT_SESSIONS, KEPT_SHAPES } from './limits.ts'
import type { RecordBody, StageTimes } from './types.ts'

type Intent = Extract<RecordBody, { type: 'INTENT' }>
type Outcome = Extract<RecordBody, { type: 'OUTCOME' }>

const [SPACE, QUOTE, COMMA, DIGIT_0, COLON, BACKSLASH, OPEN, CLOSE, TILDE] = [0x20, 0x22, 0x2c, 0x30, 0x3a, 0x5c, 0x7b, 0x7d, 0x7e]
/** Printable ASCII without quotation mark and backslash. */
const PLAIN = /^[ !#-[\]-~]*$/
/** From so many characters on a call of the engine costs less than a loop. */
const LONG_TEXT = 32
/** Integers with more digits are written by the engine. */
const MAX_INT32 = 2 ** 31 - 1

const REQUESTED = utf8(',"requested":')
const ARGS = utf8(',"args":')
const OUTCOME = utf8(',"type":"OUTCOME","intent":')
const STATUS = {
  ok: utf8(',"status":"ok"'),
  error: utf8(',"status":"error"'),
  unknown: utf8(',"status":"unknown"'),
  void: utf8(',"status":"void"'),
}
const CODE = utf8(',"code":')
const CAPTURED = utf8(',"captured":')
const LEASED = utf8(',"leased":')
const OVERRUN = { true: utf8(',"overrun":true'), false: utf8(',"overrun":false') }
const US = utf8(',"us":')

/** What the effects of one kind of one session have in common, and the bytes around their objects. */
interface Shape extends Pick<Intent, 'op' | 'action' | 'rule' | 'policy' | 'blocks' | 'accounts'> {
  readonly before: Uint8Array
  readonly behind: Uint8Array
}

export class PlainRecords {
  readonly #bytes: Buffer
  readonly #shapes = new Map<string, Shape[]>()
  #at = 0
  #plain = true

  /** Writes into `bytes`; past their end nothing is written, only counted. */
  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** Writes the members of a record, each behind a comma, and its last brace, to `at` and further; answers where they end, or null when it is not plain. */
  write(body: RecordBody, at: number): number | null {
    this.#at = at
    this.#plain = true
    if (body.type === 'INTENT' && body.claimed === undefined) this.#intent(body)
    else if (body.type === 'OUTCOME' && body.detail === undefined) this.#outcome(body)
    else return null
    return this.#plain ? this.#at : null
  }

  #intent(body: Intent): void {
    const { before, behind } = this.#shapeOf(body)
    this.#put(before)
    this.#quoted(body.object)
    this.#put(REQUESTED)
    this.#quoted(body.requested)
    this.#put(behind)
    this.#amounts(body.reserve)
    if (body.args !== undefined) {
      this.#put(ARGS)
      this.#quoted(body.args)
    }
    this.#byte(CLOSE)
  }

  #outcome({ intent, status, code, captured, leased, overrun, us }: Outcome): void {
    this.#put(OUTCOME)
    this.#integer(intent)
    this.#put(STATUS[status])
    if (code !== undefined) {
      this.#put(CODE)
      this.#quoted(code)
    }
    this.#put(CAPTURED)
    this.#amounts(captured)
    if (leased !== undefined) {
      this.#put(LEASED)
      this.#amounts(leased)
    }
    if (overrun !== undefined) this.#put(overrun ? OVERRUN.true : OVERRUN.false)
    if (us !== undefined) {
      this.#put(US)
      this.#amounts(us)
    }
    this.#byte(CLOSE)
  }

  #shapeOf(body: Intent): Shape {
    let shapes = this.#shapes.get(body.session)
    if (shapes === undefined) {
      if (this.#shapes.size >= KEPT_SESSIONS) this.#shapes.clear()
      shapes = []
      this.#shapes.set(body.session, shapes)
    }
    for (const shape of shapes) if (fits(shape, body)) return shape
    if (shapes.length >= KEPT_SHAPES) shapes.length = 0
    const shape = shapeOf(body)
    shapes.push(shape)
    return shape
  }

  #byte(byte: number): void {
    this.#bytes[this.#at++] = byte
  }

  #put(bytes: Uint8Array): void {
    if (this.#at + bytes.length <= this.#bytes.length) this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  #quoted(text: string): void {
    if (text.length > LONG_TEXT) {
      this.#longQuoted(text)
      return
    }
    const bytes = this.#bytes
    let at = this.#at
    bytes[at++] = QUOTE
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      if (unit < SPACE || unit > TILDE || unit === QUOTE || unit === BACKSLASH) {
        this.#plain = false
        return
      }
      bytes[at++] = unit
    }
    bytes[at++] = QUOTE
    this.#at = at
  }

  #longQuoted(text: string): void {
    if (!PLAIN.test(text)) {
      this.#plain = false
      return
    }
    this.#byte(QUOTE)
    this.#bytes.write(text, this.#at, 'latin1')
    this.#at += text.length
    this.#byte(QUOTE)
  }

  /** Names of dimensions and of stages are plain. */
  #amounts(amounts: Charges | StageTimes): void {
    let before = OPEN
    for (const name in amounts) {
      const amount = (amounts as { readonly [name: string]: number | undefined })[name]
      if (amount === undefined) continue
      this.#byte(before)
      this.#quoted(name)
      this.#byte(COLON)
      this.#integer(amount)
      before = COMMA
    }
    if (before === OPEN) this.#byte(OPEN)
    this.#byte(CLOSE)
  }

  #integer(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) this.#plain = false
    else if (value > MAX_INT32) this.#digits(value)
    else this.#small(value)
  }

  #small(value: number): void {
    let digits = 1
    for (let power = 10; digits < 10 && value >= power; power *= 10) digits++
    const end = this.#at + digits
    let left = value
    for (let at = end - 1; at >= this.#at; at--) {
      const next = (left / 10) | 0
      this.#bytes[at] = DIGIT_0 + (left - next * 10)
      left = next
    }
    this.#at = end
  }

  #digits(value: number): void {
    const text = String(value)
    for (let i = 0; i < text.length; i++) this.#byte(text.charCodeAt(i))
  }
}

function fits(shape: Shape, body: Intent): boolean {
  return (
    shape.op === body.op &&
    shape.action === body.action &&
    shape.rule === body.rule &&
    shape.policy === body.policy &&
    sameTexts(shape.blocks, body.blocks) &&
    sameTexts(shape.accounts, body.accounts)
  )
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

function shapeOf({ type, op, session, action, rule, policy, blocks, accounts }: Intent): Shape {
  return {
    op,
    action,
    rule,
    policy,
    // Copies: what is compared is what the bytes were made of.
    blocks: [...blocks],
    accounts: [...accounts],
    before: utf8(`,${JSON.stringify({ type, op, session, action }).slice(1, -1)},"object":`),
    behind: utf8(`,${JSON.stringify({ rule, policy, blocks, accounts }).slice(1, -1)},"reserve":`),
  }
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
