import { AuthorityError } from '@authority/protocol'
import { concat } from './file.ts'
import { decodeText } from './fs.ts'
import type { ByteStream } from './stream.ts'
import type { CallOptions } from './wait.ts'

export interface ResponseParts {
  readonly status: number
  readonly url: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly stream: ByteStream
  readonly maxBytes: number
  readonly options: CallOptions
}

/** The answer to a fetch. Its body is read once: by `bytes`, `text`, `json`, or chunk by chunk with `for await`. */
export class Response implements AsyncIterable<Uint8Array> {
  /** HTTP status. */
  readonly status: number
  /** Where the answer came from, after redirects. */
  readonly url: string
  /** By lower-case name; values of a repeated one are joined with `, `. */
  readonly headers: Readonly<Record<string, string>>
  /** As they came, in order. */
  readonly rawHeaders: readonly (readonly [name: string, value: string])[]
  readonly #stream: ByteStream
  readonly #maxBytes: number
  readonly #options: CallOptions
  #taken = false

  constructor(parts: ResponseParts) {
    this.status = parts.status
    this.url = parts.url
    this.rawHeaders = parts.headers
    this.headers = joined(parts.headers)
    this.#stream = parts.stream
    this.#maxBytes = parts.maxBytes
    this.#options = parts.options
  }

  /** Whether the status is 200 to 299. */
  get ok(): boolean {
    return this.status >= 200 && this.status <= 299
  }

  async bytes(): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    let length = 0
    for await (const part of this) {
      parts.push(part)
      length += part.length
    }
    return concat(parts, length)
  }

  /** As UTF-8. Throws E_CONFLICT when it is none. */
  async text(): Promise<string> {
    return decodeText(await this.bytes(), `the body of ${this.url}`)
  }

  /** Throws E_CONFLICT when it is no JSON. */
  async json(): Promise<unknown> {
    const text = await this.text()
    try {
      return JSON.parse(text) as unknown
    } catch (cause) {
      throw new AuthorityError('E_CONFLICT', `the body of ${this.url} is not JSON`, { cause })
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#taken) throw new AuthorityError('E_CONFLICT', `the body of ${this.url} was read already`)
    this.#taken = true
    let left = this.#maxBytes
    try {
      for (let part = await this.#stream.read(this.#options); part !== null; part = await this.#stream.read(this.#options)) {
        left -= part.length
        // The gate enforces this too; a client that believed it would trust its memory to the peer.
        if (left < 0) throw new AuthorityError('E_FRAME_TOO_LARGE', `the body of ${this.url} is larger than ${this.#maxBytes} bytes`)
        yield part
      }
    } finally {
      await this.close()
    }
  }

  /** Gives the rest of the body up. */
  close(): Promise<void> {
    this.#taken = true
    return this.#stream.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function joined(headers: readonly (readonly [name: string, value: string])[]): Record<string, string> {
  const byName = new Map<string, string>()
  for (const [name, value] of headers) {
    const lower = name.toLowerCase()
    const before = byName.get(lower)
    byName.set(lower, before === undefined ? value : `${before}, ${value}`)
  }
  // fromEntries defines own properties, so that a header named __proto__ is a header.
  return Object.fromEntries(byName)
}
