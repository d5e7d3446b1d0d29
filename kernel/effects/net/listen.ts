import { AuthorityError, type WireValue } from '@authority/protocol'
import type { Question } from '../../vocabulary/index.ts'
import type { BytesOperation, EffectSession, PreparedEffect } from '../contract.ts'
import type { Arrived, PublishedPort } from './arrivals.ts'
import { Connection } from './connection.ts'
import { ACCEPT_WAIT_MS } from './limits.ts'
import type { OpenConnections } from './open-connections.ts'
import { type Listener, listenObject, type PublishedPorts } from './published.ts'
import { connectionWorstCase } from './worst-case.ts'

/** In place of a listener: the ports `-p` leads to the guest's own servers. Init's alone. */
const GUEST_SERVERS = 0

function question(at: PublishedPort): Question {
  return { action: 'net.listen', object: listenObject(at) }
}

/** A session listens on a port of this machine, decided like `-p`. */
export function prepareListen(published: PublishedPorts, port: number, session: EffectSession): PreparedEffect {
  const places = published.placesOf(port)
  const questions = places.map(question)
  return {
    requested: questions,
    requestedText: `port ${port}`,
    resolve: () => ({ questions, object: places.map(listenObject).join(', ') }),
    // No bytes: the lease is what a revocation and another policy end the listening by.
    worstCase: () => ({ bytes: 0 }),
    execute: async (permit) => {
      const lease = permit.lease()
      const listener = await published.open(port, async (connections) => {
        // A log that cannot be written latches by itself; there is nobody here to tell.
        await lease.close({ connections }).catch(() => undefined)
      })
      lease.onWithdrawn(() => void listener.close())
      const address = places.map((at) => listenObject(at).slice('ip:'.length))[0] ?? ''
      try {
        return { result: [session.hold(listener), address], detail: { guest_port: port } }
      } catch (error) {
        await listener.close()
        throw error
      }
    },
    release: () => undefined,
  }
}

/** One connection from outside, decided like every other effect before a byte of it is read. Throws E_UNSUPPORTED when nothing is published, E_CAP_INVALID. */
export function prepareAccept(
  published: PublishedPorts,
  connections: OpenConnections,
  number: number,
  session: EffectSession,
): PreparedEffect {
  const fromGuest = number === GUEST_SERVERS && session.subject.via === 'init'
  if (fromGuest && !published.any) throw new AuthorityError('E_UNSUPPORTED', 'no port is published')
  // Another policy may open them again: the guest goes on asking, a little at a time.
  if (fromGuest && published.ports.length === 0) throw new AuthorityError('E_TIMEOUT', 'every published port is closed')
  const { places, arrivals } = fromGuest
    ? { places: published.ports, arrivals: published.forGuest }
    : session.held<Listener>(number, 'net.listener')
  let arrived: Arrived | null = null
  return {
    requested: places.map(question),
    requestedText: 'a published port',
    resolve: async (given) => {
      const signal = given()
      // The guest asks again: it must not wait longer than it keeps a request.
      arrived = await arrivals.next(fromGuest ? AbortSignal.any([signal, AbortSignal.timeout(ACCEPT_WAIT_MS)]) : signal).catch(nothingCame)
      const object = listenObject(arrived.at)
      return { questions: [question(arrived.at)], object: `${object} from ${peerOf(arrived)}` }
    },
    worstCase: connectionWorstCase,
    execute: (permit) => {
      if (arrived === null) throw new AuthorityError('E_INTERNAL', 'no connection to hand over')
      const { socket, at } = arrived
      const peer = peerOf(arrived)
      connections.take(socket)
      const stream = new Connection(socket, permit.lease()).attach(session)
      arrived = null
      return { result: [at.guestPort, stream.number, peer], detail: { peer, guest_port: at.guestPort } }
    },
    release: () => {
      arrived?.socket.destroy()
    },
  }
}

export const netClose: BytesOperation = {
  operation: 'net.close',
  perform: async ([number]: readonly WireValue[], session) => {
    const listener = session.held<Listener>(Number(number), 'net.listener')
    session.drop(Number(number))
    await listener.close()
    return []
  },
}

function nothingCame(error: unknown): never {
  throw error instanceof AuthorityError ? error : new AuthorityError('E_TIMEOUT', 'no connection arrived')
}

function peerOf({ socket: { remoteAddress, remotePort } }: Arrived): string {
  const address = remoteAddress ?? 'unknown'
  return `${address.includes(':') ? `[${address}]` : address}:${remotePort ?? 0}`
}
