import { createConnection, type Socket } from 'node:net'
import { AuthorityError } from '@authority/protocol'
import { DIAL_DEADLINE_MS, NEXT_ADDRESS_MS } from './limits.ts'

/** Opens a TCP connection to one literal address; nothing is looked up here. Rejects with E_UPSTREAM, E_TIMEOUT, E_CANCELLED. The socket may be half-open, and nothing of it was read. */
export type Dial = (address: string, port: number, signal: AbortSignal) => Promise<Socket>

/**
 * Connects to the vetted address that answers first: one after the other, the next beside one that takes long or at once after one that failed (RFC 8305).
 * Throws E_UPSTREAM, E_TIMEOUT, E_CANCELLED.
 */
export function dialFirst(
  dial: Dial,
  addresses: readonly string[],
  port: number,
  signal: AbortSignal,
): Promise<{ socket: Socket; address: string }> {
  const waiting = familiesInTurn(addresses)
  const others = new AbortController()
  const either = AbortSignal.any([signal, others.signal])
  return new Promise((resolve, reject) => {
    let failure: unknown
    let open = 0
    let over = false
    let timer: ReturnType<typeof setTimeout> | undefined
    const end = (): void => {
      over = true
      clearTimeout(timer)
      others.abort()
    }
    const next = (): void => {
      clearTimeout(timer)
      if (over) return
      const address = either.aborted ? undefined : waiting.shift()
      if (address === undefined) {
        if (open > 0) return
        end()
        reject(
          signal.aborted
            ? cancelled(signal)
            : (failure ?? new AuthorityError('E_UPSTREAM', 'no address to dial', { errno: 'EHOSTUNREACH' })),
        )
        return
      }
      open += 1
      if (waiting.length > 0) timer = setTimeout(next, NEXT_ADDRESS_MS)
      dial(address, port, either).then(
        (socket) => {
          open -= 1
          if (over) return void socket.destroy()
          end()
          resolve({ socket, address })
        },
        (error: unknown) => {
          open -= 1
          failure ??= error
          next()
        },
      )
    }
    next()
  })
}

function cancelled(signal: AbortSignal): AuthorityError {
  return signal.reason instanceof AuthorityError ? signal.reason : new AuthorityError('E_CANCELLED', 'the request was cancelled')
}

/** IPv6 and IPv4 alternating, beginning with the resolver's first; its order within each. */
function familiesInTurn(addresses: readonly string[]): string[] {
  const [first, ...rest] = addresses
  if (first === undefined) return []
  const isSix = first.includes(':')
  const same = rest.filter((address) => address.includes(':') === isSix)
  const other = rest.filter((address) => address.includes(':') !== isSix)
  return [first, ...other.flatMap((address, index) => [address, ...same.slice(index, index + 1)]), ...same.slice(other.length)]
}

export const dialTcp: Dial = (address, port, signal) =>
  new Promise((resolve, reject) => {
    const socket = createConnection({ host: address, port, allowHalfOpen: true })
    const settle = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      socket.off('error', onError)
    }
    const fail = (error: AuthorityError): void => {
      settle()
      socket.on('error', () => undefined)
      socket.destroy()
      reject(error)
    }
    const onAbort = (): void => fail(new AuthorityError('E_CANCELLED', 'the request was cancelled'))
    const onError = (error: NodeJS.ErrnoException): void => fail(dialError(address, port, error))
    const timer = setTimeout(
      () => fail(new AuthorityError('E_TIMEOUT', `${address}:${port} did not answer within ${DIAL_DEADLINE_MS} ms`)),
      DIAL_DEADLINE_MS,
    )
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('error', onError)
    socket.once('connect', () => {
      settle()
      resolve(socket)
    })
  })

const CONNECT_ERRNOS = ['ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH', 'ETIMEDOUT', 'ECONNRESET', 'EADDRNOTAVAIL']

function dialError(address: string, port: number, error: NodeJS.ErrnoException): AuthorityError {
  const errno = error.code !== undefined && CONNECT_ERRNOS.includes(error.code) ? error.code : 'ECONNREFUSED'
  return new AuthorityError('E_UPSTREAM', `${address}:${port}: ${error.code ?? error.message}`, { errno, cause: error })
}
