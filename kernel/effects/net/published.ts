import { createServer, type Server, type Socket } from 'node:net'
import { AuthorityError } from '@authority/protocol'
import type { EffectSession, PreparedEffect } from '../contract.ts'
import { Connection } from './connection.ts'
import { ACCEPT_WAIT_MS, MAX_UNTAKEN_CONNECTIONS } from './limits.ts'
import { connectionWorstCase } from './worst-case.ts'

/** `-p`: a port of this machine that leads to one of the guest. */
export interface PublishedPort {
  /** Literal address of this machine, without brackets. */
  readonly address: string
  readonly port: number
  readonly guestPort: number
}

interface Arrived {
  readonly socket: Socket
  readonly at: PublishedPort
}

/** `ip:ADDRESS:PORT`: what policy is asked under net.listen. */
export function listenObject({ address, port }: PublishedPort): string {
  return `ip:${address.includes(':') ? `[${address}]` : address}:${port}`
}

/** Listens on what the operator published, and keeps what arrives until the guest asks for it. */
export class PublishedPorts {
  private readonly servers = new Map<PublishedPort, Server | null>()
  private readonly arrived: Arrived[] = []
  private readonly waiting: { readonly take: (arrived: Arrived) => void; readonly fail: (error: AuthorityError) => void }[] = []

  constructor(ports: readonly PublishedPort[]) {
    for (const at of ports) this.servers.set(at, null)
  }

  /** Those that are not closed. */
  get ports(): readonly PublishedPort[] {
    return [...this.servers.keys()]
  }

  /** Throws E_IO naming the port that is not free; nothing listens then. */
  async listen(): Promise<void> {
    try {
      for (const at of this.ports) this.servers.set(at, await this.listenAt(at))
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** Connections nobody took yet. */
  get untaken(): number {
    return this.arrived.length
  }

  /** The next connection, or E_TIMEOUT after a while: the guest asks again. */
  next(): Promise<Arrived> {
    const first = this.arrived.shift()
    if (first !== undefined) return Promise.resolve(first)
    return new Promise((resolve, reject) => {
      const entry = {
        take: (arrived: Arrived) => {
          clearTimeout(timer)
          resolve(arrived)
        },
        fail: (error: AuthorityError) => {
          clearTimeout(timer)
          this.waiting.splice(this.waiting.indexOf(entry), 1)
          reject(error)
        },
      }
      const timer = setTimeout(() => entry.fail(new AuthorityError('E_TIMEOUT', 'no connection arrived')), ACCEPT_WAIT_MS)
      this.waiting.push(entry)
    })
  }

  /** Another policy: what it does not allow listens no more, and whoever waits there is sent away. A port once closed stays closed. Returns their objects. */
  closeUnless(allowed: (object: string) => boolean): readonly string[] {
    const closed = this.ports.filter((at) => !allowed(listenObject(at)))
    for (const at of closed) {
      this.servers.get(at)?.close()
      this.servers.delete(at)
    }
    for (const entry of this.arrived.filter(({ at }) => closed.includes(at))) {
      this.arrived.splice(this.arrived.indexOf(entry), 1)
      entry.socket.destroy()
    }
    return closed.map(listenObject)
  }

  close(): void {
    for (const server of this.servers.values()) server?.close()
    this.servers.clear()
    for (const { socket } of this.arrived.splice(0)) socket.destroy()
    for (const { fail } of [...this.waiting]) fail(new AuthorityError('E_CANCELLED', 'the run ends'))
  }

  private listenAt(at: PublishedPort): Promise<Server> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => this.take({ socket, at }))
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) =>
        reject(
          new AuthorityError('E_IO', `${at.address}:${at.port} cannot be published: ${error.code ?? error.message}`, {
            hint: 'choose another host port with -p HOST:GUEST',
            cause: error,
          }),
        ),
      )
      server.listen(at.port, at.address, () => {
        server.removeAllListeners('error').on('error', () => undefined)
        resolve(server)
      })
    })
  }

  private take(arrived: Arrived): void {
    const { socket } = arrived
    socket.on('error', () => undefined)
    const waiting = this.waiting.shift()
    if (waiting !== undefined) waiting.take(arrived)
    else if (this.arrived.length < MAX_UNTAKEN_CONNECTIONS) this.arrived.push(arrived)
    else socket.destroy()
  }
}

/** One connection from outside, decided like every other effect before a byte of it is read. Throws E_UNSUPPORTED when nothing is published. */
export function prepareAccept(published: PublishedPorts | undefined, session: EffectSession): PreparedEffect {
  if (published === undefined || published.ports.length === 0) throw new AuthorityError('E_UNSUPPORTED', 'no port is published')
  let arrived: Arrived | null = null
  return {
    requested: published.ports.map((at) => ({ action: 'net.listen' as const, object: listenObject(at) })),
    requestedText: 'a published port',
    resolve: async () => {
      arrived = await published.next()
      const object = listenObject(arrived.at)
      return { questions: [{ action: 'net.listen' as const, object }], object: `${object} from ${peerOf(arrived.socket)}` }
    },
    worstCase: connectionWorstCase,
    execute: (permit) => {
      if (arrived === null) throw new AuthorityError('E_INTERNAL', 'no connection to hand over')
      const { socket, at } = arrived
      const peer = peerOf(socket)
      const stream = new Connection(socket, permit.lease()).attach(session)
      arrived = null
      return { result: [at.guestPort, stream.number, peer], detail: { peer, guest_port: at.guestPort } }
    },
    release: () => {
      arrived?.socket.destroy()
    },
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? 'unknown'}:${remotePort ?? 0}`
}
