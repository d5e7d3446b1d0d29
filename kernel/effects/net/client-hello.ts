/**
 * The first message of a TLS client (RFC 8446, 4.1.2; records 5.1; server_name RFC 6066, 3), only as far as the outer server name. Strict, bounded, pure: what
 * cannot be read exactly is no ClientHello. An encrypted inner hello (ECH) stays what it is: the outer name is the one that counts.
 */
import { MAX_CLIENT_HELLO_BYTES, MAX_HELLO_RECORDS } from './limits.ts'

export type HelloState =
  /** Nothing wrong so far; more bytes are needed. */
  | { readonly state: 'partial' }
  /** `serverName`: as sent, or null when the client names none. */
  | { readonly state: 'hello'; readonly serverName: string | null }
  | { readonly state: 'refused'; readonly reason: string }

const RECORD_HEADER_BYTES = 5
const HANDSHAKE_RECORD = 22
const CLIENT_HELLO = 1
const MAX_RECORD_BYTES = 1 << 14
const EXTENSION_SERVER_NAME = 0
const HOST_NAME = 0

/** Looks at what a client sent first; asked again with more until it is not `partial`. */
export function readClientHello(bytes: Uint8Array): HelloState {
  const message = handshakeBytes(bytes)
  if ('state' in message) return message
  const { data, complete } = message
  if (data.length >= 1 && data[0] !== CLIENT_HELLO) return refused('the first message is no ClientHello')
  if (data.length < 4) return PARTIAL
  const length = ((data[1] ?? 0) << 16) | ((data[2] ?? 0) << 8) | (data[3] ?? 0)
  if (length > MAX_CLIENT_HELLO_BYTES) return refused(`a ClientHello of ${length} bytes`)
  if (data.length < 4 + length) return complete ? refused('a ClientHello that ends early') : PARTIAL
  if (data.length > 4 + length) return refused('bytes after the ClientHello in its record')
  try {
    return { state: 'hello', serverName: serverNameOf(new Reader(data.subarray(4))) }
  } catch (error) {
    if (error instanceof Malformed) return refused(error.message)
    throw error
  }
}

const PARTIAL: HelloState = { state: 'partial' }

function refused(reason: string): HelloState {
  return { state: 'refused', reason }
}

/** The handshake bytes of the records so far, until one whole message could be in them. */
function handshakeBytes(bytes: Uint8Array): HelloState | { data: Uint8Array; complete: boolean } {
  const parts: Uint8Array[] = []
  let total = 0
  let at = 0
  for (;;) {
    const wanted = messageLength(parts)
    if (wanted !== null && total >= wanted) break
    // Each look begins again: without this bound, records of one byte would make it quadratic.
    if (parts.length === MAX_HELLO_RECORDS) return refused('a ClientHello in too many records')
    const left = bytes.length - at
    if (left >= 1 && bytes[at] !== HANDSHAKE_RECORD) return refused('the connection does not begin with TLS')
    if (left >= 2 && bytes[at + 1] !== 3) return refused('the connection does not begin with TLS')
    if (left < RECORD_HEADER_BYTES) return total === 0 && left === 0 ? PARTIAL : { data: join(parts), complete: false }
    const length = ((bytes[at + 3] ?? 0) << 8) | (bytes[at + 4] ?? 0)
    if (length === 0 || length > MAX_RECORD_BYTES) return refused('a TLS record of an impossible length')
    const part = bytes.subarray(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + length)
    parts.push(part)
    total += part.length
    at += RECORD_HEADER_BYTES + length
    if (part.length < length) break
  }
  return { data: join(parts), complete: false }
}

/** Bytes of the handshake message these begin, its header included; null while that is not known. */
function messageLength(parts: readonly Uint8Array[]): number | null {
  const head = join(parts.slice(0, 4)).subarray(0, 4)
  return head.length < 4 ? null : 4 + (((head[1] ?? 0) << 16) | ((head[2] ?? 0) << 8) | (head[3] ?? 0))
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)
}

class Malformed extends Error {}

class Reader {
  private readonly bytes: Uint8Array
  private at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  get left(): number {
    return this.bytes.length - this.at
  }

  take(count: number): Uint8Array {
    if (count > this.left) throw new Malformed('a malformed ClientHello')
    this.at += count
    return this.bytes.subarray(this.at - count, this.at)
  }

  uint(width: 1 | 2): number {
    return this.take(width).reduce((value, byte) => (value << 8) | byte, 0)
  }

  /** A vector behind its length. */
  vector(width: 1 | 2, least: number, most: number): Reader {
    const length = this.uint(width)
    if (length < least || length > most) throw new Malformed('a malformed ClientHello')
    return new Reader(this.take(length))
  }

  end(): void {
    if (this.left !== 0) throw new Malformed('a malformed ClientHello')
  }
}

function serverNameOf(hello: Reader): string | null {
  hello.take(2 + 32)
  hello.vector(1, 0, 32)
  hello.vector(2, 2, 0xfffe)
  hello.vector(1, 1, 0xff)
  if (hello.left === 0) return null
  const extensions = hello.vector(2, 0, 0xffff)
  hello.end()
  const seen = new Set<number>()
  let name: string | null = null
  while (extensions.left > 0) {
    const type = extensions.uint(2)
    const body = extensions.vector(2, 0, 0xffff)
    if (seen.has(type)) throw new Malformed('a ClientHello with an extension twice')
    seen.add(type)
    if (type === EXTENSION_SERVER_NAME) name = hostName(body)
  }
  return name
}

/** Exactly one name, of the one kind there is. */
function hostName(body: Reader): string {
  const list = body.vector(2, 4, 0xffff)
  body.end()
  if (list.uint(1) !== HOST_NAME) throw new Malformed('a server name of an unknown kind')
  const name = list.vector(2, 1, 255)
  list.end()
  return Buffer.from(name.take(name.left)).toString('latin1')
}
