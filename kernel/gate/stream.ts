import {
  AuthorityError,
  ERROR_CODES,
  type ErrorCode,
  type GateMessage,
  INITIAL_STREAM_CREDIT,
  MAX_CHUNK_BYTES,
  MESSAGE,
} from '@authority/protocol'
import type { GateStream, StreamEnds } from '../effects/contract.ts'
import type { HeldByStreams, Holder } from './held-bytes.ts'

/** Bytes handed on before credit goes back: half the window, so that a sender never waits for a full round trip. */
const CREDIT_STEP = INITIAL_STREAM_CREDIT / 2

interface Waiting {
  data: Uint8Array
  readonly counted: number
  readonly done: () => void
  readonly failed: (error: AuthorityError) => void
}

export interface StreamOptions {
  readonly number: number
  readonly ends: StreamEnds
  readonly post: (message: GateMessage) => void
  /** Whether the peer reads: credit is its word, not its memory, and it may grant more than it ever takes. */
  readonly room: () => boolean
  /** `closed` resolves when the far end is closed, which is later. */
  readonly onOver: (closed: Promise<void>) => void
  readonly held: HeldByStreams
}

/** One byte stream of a session, with credit in each direction: neither side ever holds more than its window. */
export class SessionStream implements GateStream, Holder {
  readonly number: number
  private readonly options: StreamOptions
  private credit = INITIAL_STREAM_CREDIT
  private readonly queue: Waiting[] = []
  private window = INITIAL_STREAM_CREDIT
  private owed = 0
  private passing: Promise<void> = Promise.resolve()
  private ending = false
  private sentEnd = false
  private gotEnd = false
  private over = false
  private readonly heard = Promise.withResolvers<void>()

  constructor(options: StreamOptions) {
    this.number = options.number
    this.options = options
  }

  /** Resolves when all that the agent said was passed on with its end, or never will be. */
  get passedOn(): Promise<void> {
    return this.heard.promise
  }

  // ── to the agent ──

  send(data: Uint8Array): undefined | Promise<void> {
    if (this.over || this.ending) return cancelled()
    const rest = this.queue.length === 0 ? this.post(data) : data
    if (rest.length === 0) return undefined
    // What was posted may have ended the session.
    if (this.over) return cancelled()
    return new Promise((done, failed) => {
      this.queue.push({ data: rest, counted: data.length, done, failed })
      // All of it, because all of it stays in memory.
      this.options.held.waiting.take(this, data.length)
    })
  }

  end(): void {
    if (this.over) return
    this.ending = true
    this.pump()
  }

  reset(code: ErrorCode, message: string): void {
    if (this.over) return
    this.options.post({ type: MESSAGE.STREAM_RESET, stream: this.number, code: ERROR_CODES[code].code, message })
    this.finish(new AuthorityError(code, message))
  }

  onTooMuch(): void {
    this.reset('E_RATE_LIMIT', 'too much waits on this run’s streams for those who do not read')
  }

  /** The peer has read what was sent. */
  onRoom(): void {
    this.pump()
  }

  private pump(): void {
    for (let head = this.queue[0]; head !== undefined; head = this.queue[0]) {
      head.data = this.post(head.data)
      if (head.data.length > 0) break
      this.queue.shift()
      this.options.held.waiting.give(this, head.counted)
      head.done()
    }
    if (this.over || !this.ending || this.sentEnd || this.queue.length > 0) return
    this.sentEnd = true
    this.options.post({ type: MESSAGE.STREAM_END, stream: this.number })
    this.finishWhenBothEnded()
  }

  /** As much of it as credit and the peer's reading allow; what is left. */
  private post(data: Uint8Array): Uint8Array {
    let at = 0
    while (at < data.length && this.credit > 0 && this.options.room()) {
      const size = Math.min(data.length - at, this.credit, MAX_CHUNK_BYTES)
      this.options.post({ type: MESSAGE.STREAM_DATA, stream: this.number, data: data.subarray(at, at + size) })
      this.credit -= size
      at += size
    }
    return data.subarray(at)
  }

  // ── from the agent ──

  /** Throws E_PROTOCOL when the agent sends beyond its credit or after its end. */
  onData(data: Uint8Array): void {
    if (this.gotEnd) throw new AuthorityError('E_PROTOCOL', `stream ${this.number}: data after its end`)
    if (data.length > this.window)
      throw new AuthorityError('E_PROTOCOL', `stream ${this.number}: ${data.length} bytes where credit for ${this.window} was left`)
    this.window -= data.length
    this.options.held.untaken.take(this, data.length)
    this.pass(async () => {
      await this.options.ends.write(data)
      this.options.held.untaken.give(this, data.length)
      this.giveCredit(data.length)
    })
  }

  onEnd(): void {
    if (this.gotEnd) throw new AuthorityError('E_PROTOCOL', `stream ${this.number}: ended twice`)
    this.gotEnd = true
    this.pass(async () => {
      this.options.ends.end()
      this.heard.resolve()
      this.finishWhenBothEnded()
    })
  }

  /** Throws E_PROTOCOL when the sum exceeds what a number holds: an agent cannot buy unbounded credit. */
  onCredit(bytes: number): void {
    if (!Number.isSafeInteger(this.credit + bytes)) throw new AuthorityError('E_PROTOCOL', `stream ${this.number}: credit overflows`)
    this.credit += bytes
    this.pump()
  }

  onReset(): void {
    this.finish(new AuthorityError('E_CANCELLED', 'the agent reset the stream'))
  }

  /** The session is gone: nothing more is posted. */
  abandon(): void {
    this.finish(new AuthorityError('E_CANCELLED', 'the session ended'))
  }

  /** In the order of arrival, one at a time. */
  private pass(step: () => Promise<void>): void {
    this.passing = this.passing.then(() => (this.over ? undefined : step())).catch((error: unknown) => this.fail(error))
  }

  private giveCredit(bytes: number): void {
    if (this.over) return
    this.owed += bytes
    if (this.owed < CREDIT_STEP || this.gotEnd) return
    this.window += this.owed
    this.options.post({ type: MESSAGE.STREAM_CREDIT, stream: this.number, bytes: this.owed })
    this.owed = 0
  }

  private fail(error: unknown): void {
    const failure =
      error instanceof AuthorityError ? error : new AuthorityError('E_INTERNAL', 'the stream failed inside the gate', { cause: error })
    this.reset(failure.code, failure.message)
  }

  private finishWhenBothEnded(): void {
    if (this.sentEnd && this.gotEnd) this.finish(null)
  }

  private finish(error: AuthorityError | null): void {
    if (this.over) return
    this.over = true
    this.options.held.untaken.forget(this)
    this.options.held.waiting.forget(this)
    this.heard.resolve()
    const waiting = this.queue.splice(0)
    for (const entry of waiting) entry.failed(error ?? new AuthorityError('E_CANCELLED', 'the stream is over'))
    this.options.onOver(error === null ? Promise.resolve() : closed(this.options.ends))
  }
}

function cancelled(): Promise<never> {
  return Promise.reject(new AuthorityError('E_CANCELLED', 'the stream is over'))
}

/** Whatever the far end makes of it: the stream is over. */
async function closed(ends: StreamEnds): Promise<void> {
  try {
    await ends.reset()
  } catch {}
}
