import { AuthorityError, type ClientMessage, ERROR_CODES, MAX_CHUNK_BYTES, MESSAGE } from '@authority/protocol'
import { type CallOptions, Changes, type Limit, limitOf } from './wait.ts'

export interface StreamOptions {
  readonly number: number
  /** Bytes each direction may send at first. */
  readonly credit: number
  readonly timeoutMs: number
  readonly send: (message: ClientMessage) => void
  /** Both directions are over. */
  readonly onOver: () => void
}

/** Bytes in both directions with credit: neither side ever holds more than the window. */
export class ByteStream implements AsyncIterable<Uint8Array> {
  /** Of a connection the pinned address; of an accepted one the address and port it came from; empty for other streams. */
  address = ''
  readonly #options: StreamOptions
  readonly #changes = new Changes()
  readonly #incoming: Uint8Array[] = []
  /** Bytes the gate may still send. */
  #window: number
  /** Bytes read and not yet given back as credit. */
  #owed = 0
  /** Bytes that may still be sent to the gate. */
  #credit: number
  #gateEnded = false
  #ended = false
  #failure: AuthorityError | null = null
  #over = false
  #writing: Promise<unknown> = Promise.resolve()
  #onFinished: () => void = () => undefined
  /** Resolves when both directions are over. @internal */
  readonly finished: Promise<void>

  constructor(options: StreamOptions) {
    this.#options = options
    this.#window = options.credit
    this.#credit = options.credit
    this.finished = new Promise((resolve) => {
      this.#onFinished = resolve
    })
  }

  /** Both directions are over; what was received can still be read. @internal */
  get over(): boolean {
    return this.#over
  }

  /** The next bytes as they came, or null at the end. Throws what reset the stream, E_TIMEOUT or E_CANCELLED (the stream goes on). */
  async read(options?: CallOptions): Promise<Uint8Array | null> {
    const limit = limitOf(options, this.#options.timeoutMs)
    for (;;) {
      const chunk = this.#incoming.shift()
      if (chunk !== undefined) {
        this.#giveBack(chunk.length)
        return chunk
      }
      if (this.#failure !== null) throw this.#failure
      if (this.#gateEnded) return null
      await this.#changes.wait(limit, 'reading from the stream')
    }
  }

  /** Resolves when the gate has granted room for all of it and it was sent. Throws what reset the stream, E_CANCELLED after `end` or `close`. */
  write(data: Uint8Array | string, options?: CallOptions): Promise<void> {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data
    const limit = limitOf(options, this.#options.timeoutMs)
    const written = this.#writing.then(() => this.#write(bytes, limit))
    this.#writing = written.catch(() => undefined)
    return written
  }

  /** Nothing more will be written; reading goes on. */
  async end(): Promise<void> {
    await this.#writing
    if (this.#over || this.#ended) return
    this.#ended = true
    this.#options.send({ type: MESSAGE.STREAM_END, stream: this.#options.number })
    this.#overWhenBothEnded()
  }

  /** Ends both directions now; bytes under way are lost. */
  async close(): Promise<void> {
    if (this.#over) return
    this.#options.send({
      type: MESSAGE.STREAM_RESET,
      stream: this.#options.number,
      code: ERROR_CODES.E_CANCELLED.code,
      message: 'closed by the client',
    })
    this.fail(new AuthorityError('E_CANCELLED', 'the stream was closed'))
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (let chunk = await this.read(); chunk !== null; chunk = await this.read()) yield chunk
    } finally {
      if (!this.#gateEnded) await this.close()
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // ── from the gate ──

  /** Throws E_PROTOCOL for more than was granted or anything after the end. @internal */
  onData(data: Uint8Array): void {
    if (this.#gateEnded) throw this.#broken('data after its end')
    if (data.length > this.#window) throw this.#broken(`${data.length} bytes where ${this.#window} were granted`)
    this.#window -= data.length
    this.#incoming.push(data)
    this.#changes.wake()
  }

  /** @internal */
  onEnd(): void {
    if (this.#gateEnded) throw this.#broken('a second end')
    this.#gateEnded = true
    this.#overWhenBothEnded()
    this.#changes.wake()
  }

  /** @internal */
  onCredit(bytes: number): void {
    if (!Number.isSafeInteger(this.#credit + bytes)) throw this.#broken('credit overflows')
    this.#credit += bytes
    this.#changes.wake()
  }

  /** What was received can still be read; then comes `error`. @internal */
  fail(error: AuthorityError): void {
    if (this.#over) return
    this.#failure = error
    this.#finish()
  }

  async #write(bytes: Uint8Array, limit: Limit): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      if (this.#failure !== null) throw this.#failure
      if (this.#ended) throw new AuthorityError('E_CANCELLED', 'the stream was ended by this side', { errno: 'EPIPE' })
      const size = Math.min(bytes.length - at, this.#credit, MAX_CHUNK_BYTES)
      if (size === 0) {
        await this.#changes.wait(limit, 'writing to the stream')
        continue
      }
      this.#credit -= size
      this.#options.send({ type: MESSAGE.STREAM_DATA, stream: this.#options.number, data: bytes.subarray(at, at + size) })
      at += size
    }
  }

  /** Credit goes back when half the window was read: the gate never waits for a full round trip. */
  #giveBack(bytes: number): void {
    this.#owed += bytes
    if (this.#over || this.#gateEnded || this.#owed < this.#options.credit / 2) return
    this.#window += this.#owed
    this.#options.send({ type: MESSAGE.STREAM_CREDIT, stream: this.#options.number, bytes: this.#owed })
    this.#owed = 0
  }

  #overWhenBothEnded(): void {
    if (this.#ended && this.#gateEnded) this.#finish()
  }

  #finish(): void {
    if (this.#over) return
    this.#over = true
    this.#onFinished()
    this.#options.onOver()
    this.#changes.wake()
  }

  #broken(cause: string): AuthorityError {
    return new AuthorityError('E_PROTOCOL', `stream ${this.#options.number}: ${cause}`)
  }
}
