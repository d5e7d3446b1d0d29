import type { Socket } from 'node:net'
import { AuthorityError } from '@authority/protocol'
import type { Dial } from './dial.ts'
import { MAX_CONNECTIONS } from './limits.ts'

/** The connections of one run, those being dialled included, in both directions: each costs the gate a descriptor and memory. */
export class OpenConnections {
  private open = 0

  /** Counts a connection until the function it returns is called. Throws E_RATE_LIMIT. */
  private enter(): () => void {
    if (this.open >= MAX_CONNECTIONS)
      throw new AuthorityError('E_RATE_LIMIT', `this run has ${MAX_CONNECTIONS} connections open`, {
        errno: 'EMFILE',
        hint: 'close connections that are not used any more',
      })
    this.open += 1
    return () => {
      this.open -= 1
    }
  }

  /** Throws E_RATE_LIMIT; the socket is the caller's then. */
  take(socket: Socket): void {
    socket.once('close', this.enter())
  }

  counted(dial: Dial): Dial {
    return async (address, port, signal) => {
      const leave = this.enter()
      try {
        const socket = await dial(address, port, signal)
        socket.once('close', leave)
        return socket
      } catch (error) {
        leave()
        throw error
      }
    }
  }
}
