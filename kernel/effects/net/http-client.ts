import { isIP, type LookupFunction } from 'node:net'
import { AuthorityError } from '@authority/protocol'
// The bare name is a stub under Bun that ignores connect.lookup: a pin written against it never runs.
import { Agent, type Dispatcher, request as undiciRequest } from 'undici/index.js'
import type { FetchRequest } from './fetch-request.ts'
import { DIAL_DEADLINE_MS, MAX_RESPONSE_HEADER_BYTES } from './limits.ts'

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
  readonly body: AsyncIterable<Uint8Array>
  /** Ends the connection; always called. */
  readonly close: () => void
}

/** Sends one request to one pinned address; follows nothing, reuses nothing, reads no proxy or certificate setting of the environment. Throws E_UPSTREAM, E_TIMEOUT, E_CANCELLED. */
export async function sendPinned(request: FetchRequest, address: string, signal: AbortSignal): Promise<HttpAnswer> {
  const pin: LookupFunction = (_host, options, callback) => {
    const family = isIP(address)
    if (options.all) callback(null, [{ address, family }])
    else callback(null, address, family)
  }
  const agent = new Agent({
    connections: 1,
    pipelining: 0,
    maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
    connect: { lookup: pin, timeout: DIAL_DEADLINE_MS, rejectUnauthorized: true },
  })
  const close = (): void => void agent.destroy().catch(() => undefined)
  try {
    const answer = await undiciRequest(request.url, {
      dispatcher: agent,
      method: request.method as Dispatcher.HttpMethod,
      headers: headerList(request),
      body: request.body,
      signal,
      headersTimeout: request.timeoutMs,
      bodyTimeout: request.timeoutMs,
      responseHeaders: 'raw',
    })
    const headers = pairs(answer.headers as unknown as readonly string[])
    return {
      status: answer.statusCode,
      headers,
      location: headers.find(([name]) => name === 'location')?.[1],
      body: answer.body as AsyncIterable<Uint8Array>,
      close,
    }
  } catch (error) {
    close()
    throw upstreamError(request.url, error, signal)
  }
}

/** Content arrives as it is sent: the gate unpacks nothing, so no bomb unpacks in it. */
function headerList(request: FetchRequest): string[] {
  const headers = [...request.headers]
  if (!headers.some(([name]) => name === 'accept-encoding')) headers.push(['accept-encoding', 'identity'])
  if (!headers.some(([name]) => name === 'user-agent')) headers.push(['user-agent', 'authority'])
  return headers.flat()
}

function pairs(raw: readonly string[]): [string, string][] {
  const list: [string, string][] = []
  for (let i = 0; i + 1 < raw.length; i += 2) list.push([String(raw[i]).toLowerCase(), String(raw[i + 1])])
  return list
}

export function upstreamError(url: URL, error: unknown, signal: AbortSignal): AuthorityError {
  if (error instanceof AuthorityError) return error
  if (signal.aborted)
    return signal.reason instanceof AuthorityError ? signal.reason : new AuthorityError('E_CANCELLED', 'the request was cancelled')
  const code = (error as { code?: string }).code ?? (error as Error).name
  const timeout = /TIMEOUT/i.test(code)
  return new AuthorityError(timeout ? 'E_TIMEOUT' : 'E_UPSTREAM', `${url.origin}: ${code}`, { cause: error })
}
