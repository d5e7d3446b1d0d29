import { AuthorityError, MAX_CHUNK_BYTES, type WireValue } from '@authority/protocol'
import { invalid } from './errors.ts'
import { DEFAULT_MAX_BYTES } from './limits.ts'
import type { Scope } from './scope.ts'
import type { CallOptions } from './wait.ts'

export interface ReadOptions extends CallOptions {
  /** Bytes from the start of the file; left out: where the last sequential read or write ended. */
  readonly offset?: number | undefined
}

/** An open file. Reads and writes without an offset move one position, as in every language; calls are not ordered among themselves. */
export class File {
  readonly path: string
  /** Bytes when it was opened. */
  readonly size: number
  readonly #scope: Scope
  readonly #file: number
  #position = 0
  #closed = false

  constructor(scope: Scope, path: string, file: number, size: number) {
    this.#scope = scope
    this.path = path
    this.#file = file
    this.size = size
  }

  /** Up to `length` bytes, fewer only at the end of the file; all that is left (64 MiB at most) without a length. */
  async read(length?: number, options?: ReadOptions): Promise<Uint8Array> {
    const most = length ?? DEFAULT_MAX_BYTES + 1
    if (!Number.isSafeInteger(most) || most < 0) throw invalid(`the length of a read must be a whole number of bytes, not ${most}`)
    const start = options?.offset ?? this.#position
    const parts: Uint8Array[] = []
    let got = 0
    while (got < most) {
      const part = await this.#readPart(start + got, Math.min(most - got, MAX_CHUNK_BYTES), options)
      if (part.length === 0) break
      parts.push(part)
      got += part.length
    }
    if (length === undefined && got > DEFAULT_MAX_BYTES)
      throw new AuthorityError('E_FRAME_TOO_LARGE', `${this.path} holds more than ${DEFAULT_MAX_BYTES} bytes: read it in parts`)
    if (options?.offset === undefined) this.#position = start + got
    return concat(parts, got)
  }

  /** Writes all of `data` (text as UTF-8) and returns how many bytes that were. A file opened to append ignores the offset. */
  async write(data: Uint8Array | string, options?: ReadOptions): Promise<number> {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data
    const start = options?.offset ?? this.#position
    let done = 0
    while (done < bytes.length) {
      const part = bytes.subarray(done, done + MAX_CHUNK_BYTES)
      const [written] = await this.#scope.call('fs.write', [this.#file, start + done, part], options)
      if (written === 0 || (written as number) > part.length)
        throw new AuthorityError('E_IO', `${this.path}: the gate wrote ${written} of ${part.length} bytes`)
      done += written as number
    }
    if (options?.offset === undefined) this.#position = start + done
    return done
  }

  /** Resolves when the host has the file on stable storage. */
  async fsync(options?: CallOptions): Promise<void> {
    await this.#scope.call('fs.fsync', [this.#file], options)
  }

  /** Totals and digest are recorded before it resolves. A second close does nothing. */
  async close(options?: CallOptions): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#scope.call('fs.close', [this.#file], options)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #readPart(offset: number, length: number, options: CallOptions | undefined): Promise<Uint8Array> {
    const args: WireValue[] = [this.#file, offset, length]
    const [data] = (await this.#scope.call('fs.read', args, options)) as readonly [Uint8Array]
    if (data.length > length) throw new AuthorityError('E_PROTOCOL', `${this.path}: more bytes than were asked for`)
    return data
  }
}

export function concat(parts: readonly Uint8Array[], length: number): Uint8Array {
  const all = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
