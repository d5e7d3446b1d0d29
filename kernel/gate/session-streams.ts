import { AuthorityError, type GateMessage, MAX_STREAMS } from '@authority/protocol'
import type { StreamEnds } from '../effects/contract.ts'
import type { HeldByStreams } from './held-bytes.ts'
import { SessionStream } from './stream.ts'

export interface SessionStreamsOptions {
  readonly post: (message: GateMessage) => void
  /** Whether the peer reads what it is sent. */
  readonly room: () => boolean
  readonly held: HeldByStreams
}

/** The byte streams of one session, by numbers that are given once. */
export class SessionStreams {
  private readonly options: SessionStreamsOptions
  private readonly streams = new Map<number, SessionStream>()
  /** Far ends of streams that are over, while they are being closed and recorded. */
  private readonly closing = new Set<Promise<void>>()
  private next = 1

  constructor(options: SessionStreamsOptions) {
    this.options = options
  }

  /** Throws E_RATE_LIMIT. */
  open(ends: StreamEnds): SessionStream {
    if (this.streams.size >= MAX_STREAMS)
      throw new AuthorityError('E_RATE_LIMIT', `more than ${MAX_STREAMS} streams on one session`, { errno: 'EMFILE' })
    const number = this.next++
    const stream = new SessionStream({ ...this.options, number, ends, onOver: (closed) => this.over(number, closed) })
    this.streams.set(number, stream)
    return stream
  }

  /** Undefined for one that is over: late messages for it are dropped. Throws E_PROTOCOL for a number never given out. */
  of(number: number): SessionStream | undefined {
    if (number === 0 || number >= this.next) throw new AuthorityError('E_PROTOCOL', `stream ${number} was never opened`)
    return this.streams.get(number)
  }

  /** The peer has read what was sent. */
  onRoom(): void {
    for (const stream of [...this.streams.values()]) stream.onRoom()
  }

  /** Resolves when all that the agent said was passed on, or never will be. */
  async passedOn(): Promise<void> {
    await Promise.all([...this.streams.values()].map((stream) => stream.passedOn))
  }

  /** Ends all of them; what is still being closed, of those that were over before too. */
  abandon(): readonly Promise<void>[] {
    for (const stream of [...this.streams.values()]) stream.abandon()
    return [...this.closing]
  }

  private over(number: number, closed: Promise<void>): void {
    this.streams.delete(number)
    this.closing.add(closed)
    void closed.then(() => this.closing.delete(closed))
  }
}
