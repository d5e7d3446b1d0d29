import type { Socket } from 'node:net'
import { AuthorityError } from '@authority/protocol'
import { MAX_UNTAKEN_CONNECTIONS } from './limits.ts'

/** A port of this machine that leads to one of the guest. */
export interface PublishedPort {
  /** Literal address of this machine, without brackets. */
  readonly address: string
  readonly port: number
  readonly guestPort: number
}

export interface Arrived {
  readonly socket: Socket
  readonly at: PublishedPort
}

interface Waiting {
  readonly take: (arrived: Arrived) => void
  readonly fail: (error: unknown) => void
}

/** Connections that came and were not taken yet, and those who wait for one: at any time one of the two is empty. */
export class Arrivals {
  private readonly arrived: Arrived[] = []
  private readonly waiting: Waiting[] = []
  private over = false
  /** Handed over so far. */
  taken = 0

  /** Beyond so many that nobody takes, a connection is closed. */
  put(arrived: Arrived): void {
    arrived.socket.on('error', () => undefined)
    const waiting = this.waiting.shift()
    if (waiting !== undefined) waiting.take(arrived)
    else if (!this.over && this.arrived.length < MAX_UNTAKEN_CONNECTIONS) this.arrived.push(arrived)
    else arrived.socket.destroy()
  }

  /** Rejects with the signal's reason, and with E_CANCELLED when nothing will come any more. */
  next(signal: AbortSignal): Promise<Arrived> {
    if (signal.aborted) return Promise.reject(signal.reason)
    if (this.over) return Promise.reject(closed())
    const first = this.arrived.shift()
    if (first !== undefined) {
      this.taken += 1
      return Promise.resolve(first)
    }
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        signal.removeEventListener('abort', onAbort)
        const index = this.waiting.indexOf(entry)
        if (index >= 0) this.waiting.splice(index, 1)
      }
      const entry: Waiting = {
        take: (arrived) => {
          settle()
          this.taken += 1
          resolve(arrived)
        },
        fail: (error) => {
          settle()
          reject(error)
        },
      }
      const onAbort = (): void => entry.fail(signal.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      this.waiting.push(entry)
    })
  }

  get untaken(): number {
    return this.arrived.length
  }

  /** Whoever waits at these places is sent away. */
  dropAt(places: readonly PublishedPort[]): void {
    for (const entry of this.arrived.filter(({ at }) => places.includes(at))) {
      this.arrived.splice(this.arrived.indexOf(entry), 1)
      entry.socket.destroy()
    }
  }

  close(): void {
    this.over = true
    for (const { socket } of this.arrived.splice(0)) socket.destroy()
    for (const { fail } of [...this.waiting]) fail(closed())
  }
}

function closed(): AuthorityError {
  return new AuthorityError('E_CANCELLED', 'nobody listens there any more')
}
