import { AuthorityError } from '@authority/protocol'
import { dialTcp } from '../dial.ts'
import { portOf } from '../fetch-request.ts'
import { sendOver, upstreamError } from '../http-client.ts'
import { MAX_ANSWER_BYTES, RESOLVE_DEADLINE_MS } from '../limits.ts'
import { type AddressAnswer, type AddressType, encodeAddressQuestion, readAddressAnswer } from './answer.ts'

export interface HttpsServer {
  readonly url: URL
  /** Dialled whatever the name of the URL may resolve to; the certificate must be for that name. */
  readonly address: string
  /** Certificate authorities, PEM. */
  readonly roots: readonly string[]
}

const MEDIA_TYPE = 'application/dns-message'

/** One question over a connection of its own (RFC 8484). Nothing is followed. Throws E_UPSTREAM, E_TIMEOUT, E_CANCELLED. */
export async function askHttps(server: HttpsServer, name: string, type: AddressType, signal: AbortSignal): Promise<AddressAnswer> {
  // RFC 8484, 4.1: id 0, for caches; TLS keeps others from guessing.
  const question = { id: 0, name, type }
  const socket = await dialTcp(server.address, portOf(server.url), signal)
  const request = {
    method: 'POST',
    url: server.url,
    headers: [
      ['content-type', MEDIA_TYPE],
      ['accept', MEDIA_TYPE],
    ] as const,
    body: encodeAddressQuestion(question),
    streamed: null,
    maxBytes: MAX_ANSWER_BYTES,
    timeoutMs: RESOLVE_DEADLINE_MS,
    redirects: 0,
  }
  const { status, headers, body, close } = await sendOver(socket, request, server.roots, signal)
  try {
    if (status !== 200) throw failed(server, `answers with status ${status}`)
    const kind = headers.find(([header]) => header === 'content-type')?.[1] ?? 'nothing'
    if (kind.split(';')[0]?.trim().toLowerCase() !== MEDIA_TYPE) throw failed(server, 'answers with something else than DNS')
    const answer = readAddressAnswer(await collected(server, body, signal), question)
    if (answer === null || answer.kind === 'truncated') throw failed(server, 'answers something else')
    return answer
  } finally {
    close()
  }
}

async function collected(server: HttpsServer, body: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const part of body) {
      bytes += part.length
      if (bytes > MAX_ANSWER_BYTES) throw failed(server, `answers with more than ${MAX_ANSWER_BYTES} bytes`)
      parts.push(part)
    }
  } catch (error) {
    throw upstreamError(server.url.origin, error, signal)
  }
  return Buffer.concat(parts)
}

function failed({ url }: HttpsServer, what: string): AuthorityError {
  return new AuthorityError('E_UPSTREAM', `the resolver ${url.origin} ${what}`, { errno: 'EHOSTUNREACH' })
}
