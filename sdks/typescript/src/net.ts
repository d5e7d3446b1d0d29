import type { WireValue } from '@authority/protocol'
import type { OpenedStream } from './connection.ts'
import { invalid } from './errors.ts'
import { DEFAULT_MAX_BYTES, DEFAULT_REDIRECTS } from './limits.ts'
import { Listener } from './listener.ts'
import { Response } from './response.ts'
import type { Scope } from './scope.ts'
import type { ByteStream } from './stream.ts'
import { type Body, type BodySource, bodyOf, sendBody } from './upload.ts'
import type { CallOptions } from './wait.ts'

export interface FetchOptions extends CallOptions {
  /** Default GET. */
  readonly method?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | readonly (readonly [name: string, value: string])[] | undefined
  /**
   * Text (as UTF-8) or bytes, sent with the request up to 512 KiB; anything larger, a Blob, a ReadableStream or an iterable is streamed, as fast as the server takes
   * it, and so cannot be sent again for a redirect with 307 or 308: that is E_UPSTREAM.
   */
  readonly body?: Body | undefined
  /** Bytes of a body that is an iterable or a stream, where you know: sent as Content-Length. */
  readonly bodyBytes?: number | undefined
  /** Bytes of the response body at most; the stream is reset with E_FRAME_TOO_LARGE beyond. Default 64 MiB. */
  readonly maxBytes?: number | undefined
  /** Redirects to follow, each decided again; default 10, 0 hands a redirect to you. */
  readonly redirects?: number | undefined
}

/** Names and connections, each decided by the gate, which alone has a network. */
export class Net {
  readonly #scope: Scope

  constructor(scope: Scope) {
    this.#scope = scope
  }

  /** HTTP(S) by the gate. `timeoutMs` bounds the whole exchange. Any status is a response; refusals and failures throw. */
  async fetch(url: string | URL, options?: FetchOptions): Promise<Response> {
    const maxBytes = options?.maxBytes ?? DEFAULT_MAX_BYTES
    if (!Number.isSafeInteger(maxBytes) || maxBytes < 1) throw invalid(`maxBytes must be a whole number above 0, not ${maxBytes}`)
    const headers = options?.headers ?? {}
    const pairs: readonly (readonly [string, string])[] = Array.isArray(headers) ? headers : Object.entries(headers)
    const body = bodyOf(options?.body, options?.bodyBytes)
    const timeoutMs = Math.ceil(options?.timeoutMs ?? this.#scope.connection.timeoutMs)
    const common = [(options?.method ?? 'GET').toUpperCase(), String(url), pairs] as const
    const caps = [maxBytes, timeoutMs, options?.redirects ?? DEFAULT_REDIRECTS] as const
    const { values, stream } =
      body === null || body instanceof Uint8Array
        ? await this.#scope.open('net.fetch', [...common, body, ...caps, 0, null], options)
        : await this.#streaming(body, timeoutMs, options, (number) => [...common, null, ...caps, number, body.bytes])
    // The gate keeps a stream until both ends have ended it, and a response is only read.
    await stream.end()
    const [status, from, answered] = values as readonly [number, string, readonly (readonly [string, string])[], number]
    return new Response({ status, url: from, headers: answered, stream, maxBytes, options: { timeoutMs, signal: options?.signal } })
  }

  /** The request and its body side by side: the answer may come before the body has ended, and both go on. */
  async #streaming(
    body: BodySource,
    timeoutMs: number,
    options: FetchOptions | undefined,
    args: (number: number) => readonly WireValue[],
  ): Promise<OpenedStream> {
    const upload = await this.#scope.open('net.body', [], options)
    const answered = this.#scope.open('net.fetch', args(upload.values[0] as number), options)
    const sent = sendBody(body, upload.stream, timeoutMs)
    try {
      return await Promise.race([answered, sent.then(() => answered)])
    } catch (error) {
      // Whatever failed first, the rest of it: the body, an answer nobody will read, and what each of them still says.
      sent.catch(() => undefined)
      answered.then(({ stream }) => stream.close()).catch(() => undefined)
      await upload.stream.close()
      throw error
    }
  }

  /** A TCP connection to `host`, a name or an address. */
  async connect(host: string, port: number, options?: CallOptions): Promise<ByteStream> {
    const { values, stream } = await this.#scope.open('net.connect', [host, port], options)
    stream.address = values[1] as string
    return stream
  }

  /**
   * Listens on a port of the host: where the operator published this port (`-p HOST:PORT`), otherwise at the same number on 127.0.0.1. The policy must allow
   * `net.listen` there. EADDRINUSE when somebody listens already.
   */
  async listen(port: number, options?: CallOptions): Promise<Listener> {
    const [listener, address] = (await this.#scope.call('net.listen', [port], options)) as readonly [number, string]
    return new Listener(this.#scope, listener, address)
  }

  /** Synthetic addresses that stand for the name; E_NOT_FOUND for names no rule could allow. */
  async dns(name: string, options?: CallOptions): Promise<string[]> {
    const [addresses] = (await this.#scope.call('net.dns', [name], options)) as readonly [readonly string[]]
    return [...addresses]
  }
}
