import { createConnection, type Socket } from 'node:net'
import { AuthorityError } from '@authority/protocol'
import { DIAL_DEADLINE_MS } from './limits.ts'

/** Opens a TCP connection to one literal address; nothing is looked up here. Rejects with E_UPSTREAM, E_TIMEOUT, E_CANCELLED. The socket may be half-open, and nothing of it was read. */
export type Dial = (address: string, port: number, signal: AbortSignal) => Promise<Socket>

/** Connects to the first vetted address that answers. Throws E_UPSTREAM, E_TIMEOUT, E_CANCELLED. */
export async function dialFirst(
  dial: Dial,
  addresses: readonly string[],
  port: number,
  signal: AbortSignal,
): Promise<{ socket: Socket; address: string }> {
  let failure: unknown
  for (const address of addresses) {
    if (signal.aborted) break
    try {
      return { socket: await dial(address, port, signal), address }
    } catch (error) {
      failure = error
    }
  }
  if (signal.aborted)
    throw signal.reason instanceof AuthorityError ? signal.reason : new AuthorityError('E_CANCELLED', 'the request was cancelled')
  throw failure ?? new AuthorityError('E_UPSTREAM', 'no address to dial', { errno: 'EHOSTUNREACH' })
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
