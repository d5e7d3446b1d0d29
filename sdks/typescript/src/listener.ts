import { AuthorityError } from '@authority/protocol'
import type { Scope } from './scope.ts'
import type { ByteStream } from './stream.ts'
import type { CallOptions } from './wait.ts'

/** A port of the host on which this client is reached. Each connection is decided by the gate before it is handed over. */
export class Listener implements AsyncIterable<ByteStream> {
  /** Where it is reached, `127.0.0.1:8080`. */
  readonly address: string
  readonly #scope: Scope
  readonly #number: number
  #closed = false

  /** @internal Use `net.listen`. */
  constructor(scope: Scope, number: number, address: string) {
    this.#scope = scope
    this.#number = number
    this.address = address
  }

  /** The next connection; its `address` is where it came from. Throws E_TIMEOUT when none came in time, E_CANCELLED once closed. */
  async accept(options?: CallOptions): Promise<ByteStream> {
    if (this.#closed) throw new AuthorityError('E_CANCELLED', 'the listener was closed')
    const { values, stream } = await this.#scope.open('net.accept', [this.#number], options)
    stream.address = values[2] as string
    return stream
  }

  /** Stops listening; connections that were accepted go on. Never throws. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#scope.call('net.close', [this.#number], undefined).catch(() => undefined)
  }

  /** One connection after the other until it is closed, however long none comes. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ByteStream, void, undefined> {
    try {
      while (!this.#closed) {
        const stream = await this.accept().catch((error: unknown) => this.#nothing(error))
        if (stream !== null) yield stream
      }
    } finally {
      await this.close()
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #nothing(error: unknown): null {
    const code = error instanceof AuthorityError ? error.code : null
    if (code === 'E_TIMEOUT' || (this.#closed && code === 'E_CANCELLED')) return null
    throw error
  }
}
