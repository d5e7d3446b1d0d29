import { AuthorityError, type ErrorCode } from '@authority/protocol'
import type { EffectSession, GateStream, HeldThing, Permit, StreamEnds } from '../../contract.ts'

interface Inbox {
  readonly chunks: Uint8Array[]
  readonly done: Promise<Buffer>
  readonly finish: (error: AuthorityError | null) => void
}

/** A session whose agent reads everything at once. */
export class FakeSession implements EffectSession {
  readonly subject: EffectSession['subject']
  readonly ends = new Map<number, StreamEnds>()
  private readonly inboxes = new Map<number, Inbox>()
  private next = 1

  constructor(via: EffectSession['subject']['via'] = 'session') {
    this.subject = { session: 'test:1', via }
  }

  hold(_thing: HeldThing): number {
    throw new Error('nothing is held in these tests')
  }
  held<T extends HeldThing>(): T {
    throw new Error('nothing is held in these tests')
  }
  drop(): void {}

  openStream(ends: StreamEnds): GateStream {
    const number = this.next++
    const chunks: Uint8Array[] = []
    let finish: Inbox['finish'] = () => undefined
    const done = new Promise<Buffer>((resolve, reject) => {
      finish = (error) => (error === null ? resolve(Buffer.concat(chunks)) : reject(error))
    })
    done.catch(() => undefined)
    this.ends.set(number, ends)
    this.inboxes.set(number, { chunks, done, finish })
    return {
      number,
      send: async (data) => void chunks.push(Uint8Array.from(data)),
      end: () => finish(null),
      reset: (code: ErrorCode, message: string) => finish(new AuthorityError(code, message)),
    }
  }

  read(stream: number): Promise<Buffer> {
    return this.inboxes.get(stream)?.done ?? Promise.reject(new Error(`no stream ${stream}`))
  }
}

export interface FakePermit extends Permit {
  /** Objects decided during execution. */
  readonly decided: string[]
  /** Details of the CLOSE records. */
  readonly closes: unknown[]
  /** What was opened, to be ended as a revocation would. */
  readonly withdraw: ((error: AuthorityError) => void)[]
}

export function permitAll(options: { deny?: (object: string) => boolean; budget?: number } = {}): FakePermit {
  const decided: string[] = []
  const closes: unknown[] = []
  const withdraw: ((error: AuthorityError) => void)[] = []
  let left = options.budget ?? Number.POSITIVE_INFINITY
  return {
    intent: 1,
    signal: new AbortController().signal,
    decided,
    closes,
    withdraw,
    decideAgain: async (questions) => {
      for (const question of questions) {
        decided.push(question.object)
        if (options.deny?.(question.object)) throw new AuthorityError('E_POLICY_DENY', `denied ${question.object}`)
      }
    },
    reserveMore: async () => undefined,
    lease: () => ({
      spend: (bytes) => {
        left -= bytes
        return left >= 0 ? undefined : Promise.reject(new AuthorityError('E_BUDGET_EXCEEDED', 'no bytes left'))
      },
      onWithdrawn: (end) => void withdraw.push(end),
      close: async (detail) => void closes.push(detail),
    }),
  }
}
