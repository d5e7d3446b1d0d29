import { createServer, type Server, type Socket } from 'node:net'
import { AuthorityError } from '@authority/protocol'
import type { HeldThing } from '../contract.ts'
import { Arrivals, type PublishedPort } from './arrivals.ts'
import { MAX_PUBLISHED_PORTS } from './limits.ts'

export type { PublishedPort } from './arrivals.ts'

const LOOPBACK = '127.0.0.1'

/** `ip:ADDRESS:PORT`: what policy is asked under net.listen. */
export function listenObject({ address, port }: PublishedPort): string {
  return `ip:${address.includes(':') ? `[${address}]` : address}:${port}`
}

/** What net.listen gave a session: connections to its ports are that session's until it is closed. */
export interface Listener extends HeldThing {
  readonly kind: 'net.listener'
  readonly places: readonly PublishedPort[]
  readonly arrivals: Arrivals
}

export interface Reopened {
  /** As policy names them. */
  readonly opened: readonly string[]
  readonly failed: readonly { readonly object: string; readonly why: string }[]
}

/** The ports of this machine that lead into the run: those `-p` names, and those a session listens on. */
export class PublishedPorts {
  /** For the guest's own servers: what no session listens on. */
  readonly forGuest = new Arrivals()
  /** What `-p` names. */
  private readonly named: readonly PublishedPort[]
  /** What of it is not closed. */
  private readonly published = new Map<PublishedPort, Server | null>()
  private readonly servers = new Set<Server>()
  /** By guest port. */
  private readonly listeners = new Map<number, Listener>()

  constructor(ports: readonly PublishedPort[]) {
    this.named = ports
    for (const at of ports) this.published.set(at, null)
  }

  get ports(): readonly PublishedPort[] {
    return [...this.published.keys()]
  }

  /** Whether `-p` named any, closed or not. */
  get any(): boolean {
    return this.named.length > 0
  }

  /** Connections for the guest's own servers that nobody took yet. */
  get untaken(): number {
    return this.forGuest.untaken
  }

  /** Throws E_IO naming the port that is not free; nothing listens then. */
  async listen(): Promise<void> {
    try {
      for (const at of this.ports) this.published.set(at, await this.serve(at))
    } catch (error) {
      this.close()
      throw new AuthorityError('E_IO', (error as Error).message, { hint: 'choose another host port with -p HOST:GUEST', cause: error })
    }
  }

  /** Where a guest port is, or would be, on this machine: where `-p` puts it, otherwise at the same number on loopback. */
  placesOf(guestPort: number): readonly PublishedPort[] {
    const published = this.ports.filter((at) => at.guestPort === guestPort)
    return published.length > 0 ? published : [{ address: LOOPBACK, port: guestPort, guestPort }]
  }

  /** `onClosed` is told how many connections were handed over. Throws E_CONFLICT (EADDRINUSE) where somebody listens already, E_RATE_LIMIT, E_IO. */
  async open(guestPort: number, onClosed: (connections: number) => Promise<void>): Promise<Listener> {
    if (this.listeners.has(guestPort)) throw inUse(`a session listens on port ${guestPort} already`)
    if (this.listeners.size >= MAX_PUBLISHED_PORTS)
      throw new AuthorityError('E_RATE_LIMIT', `more than ${MAX_PUBLISHED_PORTS} ports are listened on`, { errno: 'EMFILE' })
    const places = this.placesOf(guestPort)
    const arrivals = new Arrivals()
    const own: Server[] = []
    let closing: Promise<void> | null = null
    const end = (): Promise<void> => {
      this.listeners.delete(guestPort)
      for (const server of own) this.stop(server)
      arrivals.close()
      return onClosed(arrivals.taken)
    }
    const listener: Listener = {
      kind: 'net.listener',
      places,
      arrivals,
      close: () => {
        closing ??= end()
        return closing
      },
    }
    this.listeners.set(guestPort, listener)
    try {
      for (const at of places) if (!this.published.has(at)) own.push(await this.serve(at))
      return listener
    } catch (error) {
      await listener.close()
      throw error
    }
  }

  /**
   * Another policy: what `-p` named and it does not allow listens no more, and whoever waits there is sent away. Returns their
   * objects. What sessions listen on ends with their permission, like a connection.
   */
  closeUnless(allowed: (object: string) => boolean): readonly string[] {
    const closed = this.ports.filter((at) => !allowed(listenObject(at)))
    for (const at of closed) {
      const server = this.published.get(at)
      if (server) this.stop(server)
      this.published.delete(at)
    }
    this.forGuest.dropAt(closed)
    return closed.map(listenObject)
  }

  /** Another policy: what `-p` named, an earlier one closed and it allows listens again; who holds the place meanwhile keeps it, and the answer says so. */
  async reopen(allowed: (object: string) => boolean): Promise<Reopened> {
    const opened: string[] = []
    const failed: { object: string; why: string }[] = []
    for (const at of this.named) {
      const object = listenObject(at)
      if (this.published.has(at) || !allowed(object)) continue
      try {
        this.published.set(at, await this.serve(at))
        opened.push(object)
      } catch (error) {
        failed.push({ object, why: (error as Error).message })
      }
    }
    return { opened, failed }
  }

  close(): void {
    this.published.clear()
    for (const server of [...this.servers]) this.stop(server)
    for (const listener of [...this.listeners.values()]) void listener.close()
    this.forGuest.close()
  }

  private stop(server: Server): void {
    this.servers.delete(server)
    server.close()
  }

  private serve(at: PublishedPort): Promise<Server> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket: Socket) => {
      const to = this.listeners.get(at.guestPort)?.arrivals ?? this.forGuest
      to.put({ socket, at })
    })
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        const message = `${at.address}:${at.port} cannot be published: ${error.code ?? error.message}`
        reject(
          error.code === 'EADDRINUSE' ? inUse(message, error) : new AuthorityError('E_IO', message, { ...errnoOf(error), cause: error }),
        )
      })
      server.listen(at.port, at.address, () => {
        server.removeAllListeners('error').on('error', () => undefined)
        this.servers.add(server)
        resolve(server)
      })
    })
  }
}

function errnoOf(error: NodeJS.ErrnoException): { errno?: string } {
  return error.code === 'EACCES' || error.code === 'EADDRNOTAVAIL' ? { errno: error.code } : {}
}

function inUse(message: string, cause?: unknown): AuthorityError {
  return new AuthorityError('E_CONFLICT', message, { errno: 'EADDRINUSE', cause })
}
