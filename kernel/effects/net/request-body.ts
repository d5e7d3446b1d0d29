import { AuthorityError } from '@authority/protocol'
import type { BytesOperation, EffectSession, GateStream, HeldThing } from '../contract.ts'

interface Piece {
  readonly data: Uint8Array
  readonly taken: () => void
  readonly refused: (error: AuthorityError) => void
}

/**
 * A request body between the agent's stream and the one exchange that takes it. One piece at a time: the next is asked for when the connection took the last, so a
 * server that does not read slows the agent, and no more than the stream's window waits here.
 */
export class RequestBody implements HeldThing {
  readonly kind = 'net.body'
  readonly stream: number
  private readonly agent: GateStream
  private piece: Piece | null = null
  private ended = false
  private failure: AuthorityError | null = null
  private wake: () => void = () => undefined
  private onGivenUp: (error: AuthorityError) => void = () => undefined

  /** Throws E_RATE_LIMIT, E_CANCELLED. */
  constructor(session: EffectSession) {
    this.agent = session.openStream({
      write: (data) => this.offer(data),
      end: () => {
        this.ended = true
        this.wake()
      },
      reset: () => this.fail(new AuthorityError('E_CANCELLED', 'the agent gave the request body up')),
    })
    this.stream = this.agent.number
    // The gate has nothing to say on it.
    this.agent.end()
  }

  /** `end` is called at once, not when the next byte would move, when the agent gives it up or its session ends. */
  whenGivenUp(end: (error: AuthorityError) => void): void {
    this.onGivenUp = end
    if (this.failure !== null) end(this.failure)
  }

  /** What is left of it is not wanted: the agent is told, and its stream is over. */
  refuse(error: AuthorityError): void {
    this.onGivenUp = () => undefined
    this.fail(error)
    this.agent.reset(error.code, error.message)
  }

  async close(): Promise<void> {
    this.refuse(new AuthorityError('E_CANCELLED', 'the session ended'))
  }

  /** In order, until the agent ends it. Throws why it does not go on. */
  async *pieces(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      if (this.failure !== null) throw this.failure
      const { piece } = this
      if (piece !== null) {
        yield piece.data
        this.piece = null
        piece.taken()
      } else if (this.ended) return
      else
        await new Promise<void>((resolve) => {
          this.wake = resolve
        })
    }
  }

  private offer(data: Uint8Array): Promise<void> {
    const { failure } = this
    if (failure !== null) return Promise.reject(failure)
    return new Promise((taken, refused) => {
      this.piece = { data, taken, refused }
      this.wake()
    })
  }

  private fail(error: AuthorityError): void {
    if (this.failure !== null) return
    this.failure = error
    this.piece?.refused(error)
    this.wake()
    this.onGivenUp(error)
  }
}

/** For one exchange only: what is sent once is gone. Throws E_CAP_INVALID. */
export function claimBody(session: EffectSession, number: number): RequestBody {
  const body = session.held<RequestBody>(number, 'net.body')
  session.drop(number)
  return body
}

export const netBody: BytesOperation = {
  operation: 'net.body',
  perform: (_args, session) => {
    const body = new RequestBody(session)
    try {
      const number = session.hold(body)
      body.whenGivenUp(() => session.drop(number))
      return [number, body.stream]
    } catch (error) {
      void body.close()
      throw error
    }
  },
}
