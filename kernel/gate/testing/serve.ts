import { encodeLinkControl, LINK_CONTROL } from '@authority/protocol'
import type { BytesOperation, EffectClass, EffectSession, GateStream, HeldThing, StreamEnds } from '../../effects/contract.ts'
import type { Subject } from '../../vocabulary/index.ts'
import { EffectsLink } from '../effects-link.ts'
import type { Session } from '../session.ts'
import { serveSocketSession } from '../socket-session.ts'
import { Peer } from './client.ts'
import { TestEffect, type TestEffectOptions } from './effect.ts'
import { RUN, type World } from './world.ts'

let serial = 0

export interface Served {
  readonly peer: Peer
  readonly session: Session
}

/** A client on a socket of its own. */
export function serve(world: World, via: Subject['via'] = 'session'): Served {
  const peer = new Peer()
  serial += 1
  const session = serveSocketSession({
    transport: peer.transport,
    subject: { session: `socket:${serial}`, via },
    run: RUN,
    registry: world.registry,
    onEnd: () => peer.check(),
  })
  return { peer, session }
}

/** The same, greeted. */
export async function greeted(world: World, token: string | null = null, via: Subject['via'] = 'session'): Promise<Served> {
  const served = serve(world, via)
  served.peer.hello(token)
  await served.peer.until(() => served.peer.received.length > 0)
  return served
}

export interface LinkedWorld {
  readonly peer: Peer
  readonly link: EffectsLink
  readonly faults: string[]
  open(session: number): void
  close(session: number): void
}

/** The effects port with init at its other end. */
export function linked(world: World): LinkedWorld {
  const peer = new Peer({ link: true })
  const faults: string[] = []
  const link = new EffectsLink({
    transport: peer.transport,
    run: RUN,
    registry: world.registry,
    onFault: (error) => faults.push(`${error.code} ${error.message}`),
  })
  return {
    peer,
    link,
    faults,
    open: (session) => peer.bytes(encodeLinkControl({ type: LINK_CONTROL.SESSION_OPEN, session, pid: 7, uid: 1000, exe: '/bin/agent' })),
    close: (session) => peer.bytes(encodeLinkControl({ type: LINK_CONTROL.SESSION_CLOSE, session })),
  }
}

/** fs.open that performs a test effect named by its path; `seen` are those that happened, in order. */
export function openClass(options: (path: string, session: EffectSession) => TestEffectOptions = () => ({})): {
  effect: EffectClass
  seen: string[]
} {
  const seen: string[] = []
  const effect: EffectClass = {
    operation: 'fs.open',
    prepare: (args, session) => {
      const path = String(args[0])
      const chosen = options(path, session)
      return new TestEffect([], {
        path,
        ...chosen,
        execute: async (permit) => {
          seen.push(path)
          return (await chosen.execute?.(permit)) ?? { result: [1, 0] }
        },
      })
    },
  }
  return { effect, seen }
}

/** net.connect that opens a stream whose far end the test holds. */
export class FarEnd {
  readonly streams: GateStream[] = []
  readonly written: Uint8Array[] = []
  readonly events: string[] = []
  /** Writes wait for it. */
  gate: Promise<void> = Promise.resolve()
  /** How long it takes to close. */
  closing: Promise<void> = Promise.resolve()
  readonly effect: EffectClass

  constructor() {
    const ends: StreamEnds = {
      write: async (data) => {
        await this.gate
        this.written.push(data.slice())
      },
      end: () => void this.events.push('end'),
      reset: () => {
        this.events.push('reset')
        return this.closing
      },
    }
    this.effect = {
      operation: 'net.connect',
      prepare: (_args, session) =>
        new TestEffect([], {
          execute: () => {
            const stream = session.openStream(ends)
            this.streams.push(stream)
            return { result: [stream.number, '192.0.2.1'] }
          },
        }),
    }
  }

  get bytes(): number {
    return this.written.reduce((sum, data) => sum + data.length, 0)
  }
}

/** fs.open that keeps a thing, or fs.mkdir, which does not tell its number; fs.read that reads `size` bytes of one. */
export function things(
  size = 1,
  operation: 'fs.open' | 'fs.mkdir' = 'fs.open',
): { effect: EffectClass; bytes: BytesOperation; closed: number[] } {
  const closed: number[] = []
  let made = 0
  const effect: EffectClass = {
    operation,
    prepare: (_args, session) =>
      new TestEffect([], {
        execute: () => {
          const mine = ++made
          const thing: HeldThing = { kind: 'fs.file', close: async () => void closed.push(mine) }
          const number = session.hold(thing)
          return { result: operation === 'fs.open' ? [number, 0] : [] }
        },
      }),
  }
  const bytes: BytesOperation = {
    operation: 'fs.read',
    perform: (args, session) => {
      session.held(Number(args[0]), 'fs.file')
      return [new Uint8Array(size)]
    },
  }
  return { effect, bytes, closed }
}
