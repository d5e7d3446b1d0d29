import { createHash } from 'node:crypto'
import { AuthorityError } from '@authority/protocol'
import type { ByteLease } from '../contract.ts'
import { MAX_BODY_BYTES } from './limits.ts'
import type { RequestBody } from './request-body.ts'

/** Bytes around a chunk's length in digits: two line ends. */
const CHUNK_FRAME_BYTES = 4

/** A streamed request body on its way out: metered before it moves, digested, of the length that was said. */
export class Upload implements AsyncIterable<Uint8Array> {
  /** Null: not known, sent in chunks. */
  readonly length: number | null
  private readonly body: RequestBody
  private readonly lease: ByteLease
  private readonly fail: (error: unknown) => void
  private readonly digest = createHash('sha256')
  private bytes = 0
  private whole = false
  private over = false

  /** `fail` is told why it broke off; whoever sends it only sees that it did. */
  constructor(body: RequestBody, length: number | null, lease: ByteLease, fail: (error: unknown) => void) {
    this.body = body
    this.length = length
    this.lease = lease
    this.fail = fail
    body.whenGivenUp(fail)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for await (const piece of this.body.pieces()) {
        this.assertFits(piece.length)
        await this.lease.spend(piece.length + this.frameBytes(piece.length), 'bytes_out')
        this.bytes += piece.length
        this.digest.update(piece)
        yield piece
      }
      if (this.length !== null && this.bytes < this.length) throw this.wrongLength(`ended after ${this.bytes}`)
      this.whole = true
    } catch (error) {
      if (!this.over) this.fail(error)
      throw error
    }
  }

  /** The exchange is over, whether the server wanted all of it or not. */
  end(): void {
    this.over = true
    this.body.refuse(new AuthorityError('E_CANCELLED', 'the exchange is over'))
  }

  /** For the CLOSE record. */
  get facts(): { readonly bytes_out: number; readonly sha256_out: string; readonly request_body: 'whole' | 'broken off' } {
    const whole = this.whole || this.bytes === this.length
    return { bytes_out: this.bytes, sha256_out: this.digest.copy().digest('hex'), request_body: whole ? 'whole' : 'broken off' }
  }

  private assertFits(more: number): void {
    if (this.length !== null && this.bytes + more > this.length) throw this.wrongLength('goes on')
    if (this.bytes + more > MAX_BODY_BYTES)
      throw new AuthorityError('E_FRAME_TOO_LARGE', `net.fetch: the request body is larger than ${MAX_BODY_BYTES} bytes`)
  }

  private wrongLength(what: string): AuthorityError {
    return new AuthorityError('E_CONFLICT', `net.fetch: the request body ${what}, and its length was given as ${this.length}`)
  }

  private frameBytes(length: number): number {
    return this.length === null ? length.toString(16).length + CHUNK_FRAME_BYTES : 0
  }
}
