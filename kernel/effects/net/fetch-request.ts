import { AuthorityError, type WireValue } from '@authority/protocol'
import { FETCH_DEADLINE_MS, MAX_BODY_BYTES, MAX_REDIRECTS, MAX_URL_BYTES } from './limits.ts'
import { type Target, targetOf } from './object.ts'
import type { RequestBody } from './request-body.ts'
import type { SyntheticAddresses } from './synthetic.ts'

/** A request as it will be sent: method and headers checked, fragment and userinfo gone. */
export interface FetchRequest {
  readonly method: string
  readonly url: URL
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Uint8Array | null
  /** The body as it comes, instead of a whole one. */
  readonly streamed: StreamedBody | null
  readonly maxBytes: number
  readonly timeoutMs: number
  readonly redirects: number
}

export interface StreamedBody {
  readonly body: RequestBody
  /** Null: not known. */
  readonly bytes: number | null
}

const METHOD = /^[A-Z][A-Z-]{0,15}$/
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/
/** Tunnels are connections in disguise; TRACE echoes what others may have added. */
const REFUSED_METHODS = ['CONNECT', 'TRACE']
/** The gate frames the message itself; these would let a caller smuggle a second one or leave HTTP. */
const REFUSED_HEADERS = [
  'connection',
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]
/** What is not sent on to another origin. */
const CREDENTIAL_HEADERS = ['authorization', 'cookie', 'cookie2', 'proxy-authorization', 'www-authenticate']

/** Checks the arguments of net.fetch; the stream of its body is claimed last. Throws E_CONFLICT naming the part, E_CAP_INVALID. */
export function parseFetch(args: readonly WireValue[], claim: (number: number) => RequestBody): FetchRequest {
  const [method, url, headers, body, maxBytes, timeoutMs, redirects, bodyStream, bodyBytes] = args as readonly [
    string,
    string,
    readonly (readonly [string, string])[],
    Uint8Array | null,
    number,
    number,
    number,
    number,
    number | null,
  ]
  if (!METHOD.test(method) || REFUSED_METHODS.includes(method)) throw invalid(`method \`${method}\` is not sent`)
  if ((body !== null || bodyStream !== 0) && (method === 'GET' || method === 'HEAD')) throw invalid(`a ${method} has no body`)
  if (body !== null && bodyStream !== 0) throw invalid('one body: whole or a stream')
  if (bodyBytes !== null && bodyStream === 0) throw invalid('`body_bytes` is the length of a streamed body')
  if (bodyBytes !== null && bodyBytes > MAX_BODY_BYTES) throw invalid(`a body has ${MAX_BODY_BYTES} bytes at most`)
  return {
    method,
    url: parseUrl(url),
    headers: headers.map(([name, value]) => checkHeader(name, value)),
    body,
    maxBytes: maxBytes === 0 ? MAX_BODY_BYTES : Math.min(maxBytes, MAX_BODY_BYTES),
    timeoutMs: timeoutMs === 0 ? FETCH_DEADLINE_MS : Math.min(timeoutMs, FETCH_DEADLINE_MS),
    redirects: Math.min(redirects, MAX_REDIRECTS),
    streamed: bodyStream === 0 ? null : { body: claim(bodyStream), bytes: bodyBytes },
  }
}

/** Throws E_CONFLICT. */
export function parseUrl(text: string): URL {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw invalid('the URL cannot be read')
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw invalid(`\`${url.protocol}\` URLs are not fetched; http and https are`)
  if (url.username !== '' || url.password !== '') throw invalid('userinfo in a URL is refused: send an authorization header')
  url.hash = ''
  return url
}

function checkHeader(name: string, value: string): readonly [string, string] {
  const lower = name.toLowerCase()
  if (!HEADER_NAME.test(name)) throw invalid('a header name has characters HTTP does not allow')
  if (REFUSED_HEADERS.includes(lower)) throw invalid(`header \`${lower}\` is the gate's to set`)
  // Latin-1 less the control characters (RFC 9110 5.5): those split the message, and a character beyond Latin-1 could become one when it is written as a byte.
  if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) throw invalid(`the value of header \`${lower}\` has characters HTTP does not allow`)
  return [lower, value]
}

export function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port)
  return url.protocol === 'https:' ? 443 : 80
}

/** A URL written with a stand-in address is about the name it stands for: that is what is decided, dialled, checked by TLS and said to the server. */
export function withRealHost(request: FetchRequest, synthetic: SyntheticAddresses): FetchRequest {
  const target = targetOfUrl(request.url, synthetic)
  if (target.kind !== 'name' || target.name === request.url.hostname) return request
  const url = new URL(request.url)
  url.hostname = target.name
  return { ...request, url }
}

export function targetOfUrl(url: URL, synthetic: SyntheticAddresses): Target {
  return targetOf(url.hostname, portOf(url), synthetic)
}

/** How records and denials name it: the query is a value and only committed. */
export function describe(method: string, url: URL): string {
  return `${method} ${url.origin}${url.pathname}${url.search === '' ? '' : '?…'}`
}

/** Bytes of the request's head on the wire, about: the line, the headers, what the client adds. */
export function headBytes({ method, url, headers }: FetchRequest): number {
  const given = headers.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0)
  return method.length + url.href.length + given + 64
}

/** The request a redirect asks for (Fetch standard, HTTP-redirect fetch), or null when the answer is no redirect to follow. Throws E_UPSTREAM for one that leads out of HTTP or wants a streamed body again. */
export function redirected(request: FetchRequest, status: number, location: string | undefined): FetchRequest | null {
  if (![301, 302, 303, 307, 308].includes(status) || location === undefined || request.redirects === 0) return null
  const url = redirectUrl(location, request.url)
  const becomesGet = status === 303 ? request.method !== 'HEAD' : (status === 301 || status === 302) && request.method === 'POST'
  if (!becomesGet && request.streamed !== null) throw sentOnce(request.url, status)
  const sameOrigin = url.origin === request.url.origin
  const headers = request.headers.filter(
    ([name]) => (sameOrigin || !CREDENTIAL_HEADERS.includes(name)) && !(becomesGet && name.startsWith('content-')),
  )
  return {
    ...request,
    url,
    headers,
    method: becomesGet ? 'GET' : request.method,
    body: becomesGet ? null : request.body,
    streamed: null,
    redirects: request.redirects - 1,
  }
}

/** What was streamed is gone; to keep it for a redirect that may come would be to buffer it. */
function sentOnce({ origin }: URL, status: number): AuthorityError {
  return new AuthorityError(
    'E_UPSTREAM',
    `${origin} redirects with ${status}, which asks for the request body again, and a streamed body is sent once: send it whole (512 KiB at most), or with \`redirects: 0\` and again yourself`,
  )
}

function redirectUrl(location: string, base: URL): URL {
  try {
    const { href } = new URL(location, base)
    if (href.length > MAX_URL_BYTES) throw invalid('the URL is too long')
    return parseUrl(href)
  } catch (error) {
    const why = error instanceof AuthorityError ? error.message : 'its location cannot be read'
    throw new AuthorityError('E_UPSTREAM', `${base.origin} redirects to where the gate does not follow: ${why}`)
  }
}

function invalid(cause: string): AuthorityError {
  return new AuthorityError('E_CONFLICT', `net.fetch: ${cause}`)
}
