import { isIP, type Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { rootCertificates, connect as tlsConnect } from 'node:tls'
import { AuthorityError } from '@authority/protocol'
// The bare name is a stub under Bun that ignores its connector: a pin written against it never runs.
import { Agent, type Dispatcher, request as undiciRequest } from 'undici/index.js'
import type { FetchRequest } from './fetch-request.ts'
import { MAX_RESPONSE_HEADER_BYTES } from './limits.ts'
import type { Upload } from './upload.ts'

/** The stub's Agent is an empty class; the real one is not. Throws when the wrong module was bundled: better no gate than one without a pin. */
export function assertRealHttpClient(): void {
  if (Agent.toString().length < 200)
    throw new AuthorityError('E_INTERNAL', 'the HTTP client is the runtime’s stub, which ignores address pins', {
      hint: 'reinstall: this build is broken',
    })
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  readonly location: string | undefined
  /** Bytes of the head as they were sent, about. */
  readonly headBytes: number
  readonly body: AsyncIterable<Uint8Array>
  /** Ends the connection; always called. */
  readonly close: () => void
}

/**
 * Sends one request over a connection that is open already: no name and no address is looked at here. Follows nothing, reuses nothing, reads no proxy or
 * certificate setting of the environment. Throws E_UPSTREAM, E_TIMEOUT, E_CANCELLED; the connection is gone then.
 */
export async function sendOver(
  socket: Socket,
  request: FetchRequest,
  roots: readonly string[],
  signal: AbortSignal,
  upload: Upload | null = null,
): Promise<HttpAnswer> {
  let used = false
  const agent = new Agent({
    connections: 1,
    pipelining: 0,
    maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
    connect: (_options, callback) => {
      const again = used
      used = true
      // The client is not ready for an answer within its own call.
      queueMicrotask(() => (again ? callback(new Error('the connection was used up'), null) : callback(null, ready)))
    },
  })
  const close = (): void => {
    agent.destroy().catch(() => undefined)
    socket.destroy()
  }
  let ready: Socket = socket
  try {
    if (request.url.protocol === 'https:') ready = await secured(socket, request.url.hostname, roots, signal)
    const answer = await undiciRequest(request.url, {
      dispatcher: agent,
      method: request.method as Dispatcher.HttpMethod,
      headers: headerList(request, upload?.length ?? null),
      // Iterables are documented, and only missing from its types.
      body: (upload as unknown as Readable | null) ?? request.body,
      signal,
      headersTimeout: request.timeoutMs,
      bodyTimeout: request.timeoutMs,
      responseHeaders: 'raw',
    })
    // A body that is given up fails; nobody may be listening any more.
    answer.body.on('error', () => undefined)
    const headers = pairs(answer.headers as unknown as readonly string[])
    return {
      status: answer.statusCode,
      headers,
      location: headers.find(([name]) => name === 'location')?.[1],
      headBytes: headers.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 16),
      body: answer.body as AsyncIterable<Uint8Array>,
      close,
    }
  } catch (error) {
    close()
    throw upstreamError(request.url.origin, error, signal)
  }
}

/** TLS to the name of the URL, its certificate checked against `roots` alone: the runtime's own list would grow by what the environment says. */
function secured(socket: Socket, host: string, roots: readonly string[], signal: AbortSignal): Promise<Socket> {
  const name = host.replace(/^\[|\]$/g, '')
  return new Promise((resolve, reject) => {
    const secure = tlsConnect({
      socket,
      host: name,
      ...(isIP(name) === 0 ? { servername: name } : {}),
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: true,
      ca: [...roots],
    })
    const settle = (): void => {
      signal.removeEventListener('abort', onAbort)
      secure.off('error', onError)
      secure.off('close', onClose)
      // From now on whoever uses it listens; a late error must not be nobody's.
      secure.on('error', () => undefined)
    }
    const fail = (error: unknown): void => {
      settle()
      secure.destroy()
      reject(error)
    }
    const onAbort = (): void => fail(signal.reason)
    const onError = (error: Error): void => fail(error)
    const onClose = (): void => fail(new AuthorityError('E_UPSTREAM', `${host}: the connection closed during the TLS handshake`))
    secure.once('error', onError)
    secure.once('close', onClose)
    secure.once('secureConnect', () => {
      // The runtime checked already; a version of it that only notes the failure must not slip through.
      if (!secure.authorized) return fail(new AuthorityError('E_UPSTREAM', `${host}: its certificate is not trusted`))
      settle()
      resolve(secure)
    })
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}

/** The authorities the runtime was built with, whatever the environment adds. */
export const builtInRoots: readonly string[] = rootCertificates

/** Content arrives as it is sent: the gate unpacks nothing, so no bomb unpacks in it. */
function headerList(request: FetchRequest, length: number | null): string[] {
  const headers = [...request.headers]
  if (length !== null) headers.push(['content-length', String(length)])
  if (!headers.some(([name]) => name === 'accept-encoding')) headers.push(['accept-encoding', 'identity'])
  if (!headers.some(([name]) => name === 'user-agent')) headers.push(['user-agent', 'authority'])
  return headers.flat()
}

function pairs(raw: readonly string[]): [string, string][] {
  const list: [string, string][] = []
  for (let i = 0; i + 1 < raw.length; i += 2) list.push([String(raw[i]).toLowerCase(), String(raw[i + 1])])
  return list
}

/** `what` failed: the origin, or the body. */
export function upstreamError(what: string, error: unknown, signal: AbortSignal): AuthorityError {
  if (error instanceof AuthorityError) return error
  if (signal.aborted)
    return signal.reason instanceof AuthorityError ? signal.reason : new AuthorityError('E_CANCELLED', 'the request was cancelled')
  const code = (error as { code?: string }).code ?? (error as Error).name
  const timeout = /TIMEOUT/i.test(code)
  return new AuthorityError(timeout ? 'E_TIMEOUT' : 'E_UPSTREAM', `${what}: ${code}`, { cause: error })
}
