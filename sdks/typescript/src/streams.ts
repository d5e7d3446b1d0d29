import {
  AuthorityError,
  type ClientMessage,
  MESSAGE,
  type StreamCredit,
  type StreamData,
  type StreamEnd,
  type StreamReset,
} from '@authority/protocol'
import { errorOfReply } from './errors.ts'
import { ByteStream } from './stream.ts'

type StreamMessage = StreamData | StreamEnd | StreamCredit | StreamReset

export interface StreamsOptions {
  readonly credit: number
  readonly maxStreams: number
  readonly timeoutMs: number
  readonly send: (message: ClientMessage) => void
  /** Requests under way that may open a stream. */
  readonly openings: () => number
}

/** Streams of one session. The first bytes of one may come before the result that names it, because a result waits for the log. */
export class Streams {
  readonly #options: StreamsOptions
  readonly #open = new Map<number, ByteStream>()
  /** Streams that spoke and were not named yet. */
  readonly #early = new Map<number, ByteStream>()
  readonly #past = new Numbers()

  constructor(options: StreamsOptions) {
    this.#options = options
  }

  /** The stream of a result. Throws E_PROTOCOL when the number was given before. */
  named(number: number): ByteStream {
    if (number === 0 || this.#open.has(number)) throw new AuthorityError('E_PROTOCOL', `stream ${number} is given out twice`)
    const early = this.#early.get(number)
    if (early === undefined && this.#past.has(number)) throw new AuthorityError('E_PROTOCOL', `stream ${number} is given out twice`)
    const stream = early ?? this.#create(number)
    this.#early.delete(number)
    if (!stream.over) this.#open.set(number, stream)
    if (this.#open.size > this.#options.maxStreams) throw new AuthorityError('E_PROTOCOL', `more than ${this.#options.maxStreams} streams`)
    return stream
  }

  /** Throws E_PROTOCOL for a number that was never given out and that no request under way can account for. */
  onMessage(message: StreamMessage): void {
    const stream = this.#open.get(message.stream) ?? this.#early.get(message.stream) ?? this.#unknown(message.stream)
    if (stream === undefined) return
    switch (message.type) {
      case MESSAGE.STREAM_DATA:
        return stream.onData(message.data)
      case MESSAGE.STREAM_END:
        return stream.onEnd()
      case MESSAGE.STREAM_CREDIT:
        return stream.onCredit(message.bytes)
      case MESSAGE.STREAM_RESET:
        return stream.fail(errorOfReply(message))
    }
  }

  /** After an answer: when nothing under way could name them, streams that spoke early belong to requests that failed. */
  settle(): void {
    if (this.#early.size === 0 || this.#options.openings() > 0) return
    const orphans = [...this.#early.values()]
    this.#early.clear()
    for (const stream of orphans) void stream.close()
  }

  fail(error: AuthorityError): void {
    for (const stream of [...this.#open.values(), ...this.#early.values()]) stream.fail(error)
    this.#open.clear()
    this.#early.clear()
  }

  #unknown(number: number): ByteStream | undefined {
    if (this.#past.has(number)) return undefined
    if (this.#options.openings() === 0 || this.#early.size >= this.#options.maxStreams)
      throw new AuthorityError('E_PROTOCOL', `stream ${number} was never opened`)
    const stream = this.#create(number)
    this.#early.set(number, stream)
    return stream
  }

  #create(number: number): ByteStream {
    this.#past.add(number)
    return new ByteStream({
      number,
      credit: this.#options.credit,
      timeoutMs: this.#options.timeoutMs,
      send: this.#options.send,
      onOver: () => this.#open.delete(number),
    })
  }
}

/** A set of numbers that takes no room as long as they come without gaps. */
class Numbers {
  #below = 1
  readonly #above = new Set<number>()

  has(number: number): boolean {
    return number < this.#below || this.#above.has(number)
  }

  add(number: number): void {
    this.#above.add(number)
    while (this.#above.delete(this.#below)) this.#below++
  }
}
