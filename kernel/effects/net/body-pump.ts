import { createHash } from 'node:crypto'
import { AuthorityError, MAX_CHUNK_BYTES } from '@authority/protocol'
import type { Json } from '../../vocabulary/index.ts'
import type { ByteLease, EffectSession, GateStream } from '../contract.ts'
import { type HttpAnswer, upstreamError } from './http-client.ts'

/** Hands a response body to the agent as a stream: metered before it moves, cut at the cap, ended by its deadline also when the agent does not read. */
export class BodyPump {
  private readonly answer: HttpAnswer
  private readonly lease: ByteLease
  private readonly maxBytes: number
  /** Called once; answers what else the CLOSE record says. */
  private readonly onDone: () => { readonly [key: string]: Json }
  private readonly digest = createHash('sha256')
  private bytes = 0
  private done: Promise<void> = Promise.resolve()

  constructor(answer: HttpAnswer, lease: ByteLease, maxBytes: number, onDone: () => { readonly [key: string]: Json }) {
    this.answer = answer
    this.lease = lease
    this.maxBytes = maxBytes
    this.onDone = onDone
  }

  /** Throws E_RATE_LIMIT, E_CANCELLED: then nothing was begun. */
  attach(session: EffectSession, limit: AbortController): GateStream {
    const stream = session.openStream({
      write: () => Promise.reject(new AuthorityError('E_PROTOCOL', 'a response body is read only')),
      end: () => undefined,
      reset: () => {
        limit.abort(new AuthorityError('E_CANCELLED', 'the agent gave the body up'))
        return this.done
      },
    })
    // An agent that takes nothing must not keep the connection beyond the deadline.
    limit.signal.addEventListener('abort', () => this.fail(stream, limit.signal.reason, limit.signal), { once: true })
    this.done = this.pump(stream, limit.signal)
    return stream
  }

  private async pump(stream: GateStream, signal: AbortSignal): Promise<void> {
    try {
      for await (const chunk of this.answer.body) await this.pass(chunk, stream)
      stream.end()
    } catch (error) {
      this.fail(stream, error, signal)
    } finally {
      const sent = this.onDone()
      this.answer.close()
      // A log that cannot be written latches by itself; there is nobody here to tell.
      await this.lease.close({ bytes_in: this.bytes, sha256_in: this.digest.digest('hex'), ...sent }).catch(() => undefined)
    }
  }

  private fail(stream: GateStream, error: unknown, signal: AbortSignal): void {
    const { code, message } = upstreamError('the response body', error, signal)
    stream.reset(code, message)
    this.answer.close()
  }

  private async pass(chunk: Uint8Array, stream: GateStream): Promise<void> {
    for (let at = 0; at < chunk.length; at += MAX_CHUNK_BYTES) {
      const part = chunk.subarray(at, at + MAX_CHUNK_BYTES)
      if (this.bytes + part.length > this.maxBytes)
        throw new AuthorityError('E_FRAME_TOO_LARGE', `the response body is larger than ${this.maxBytes} bytes`)
      await this.lease.spend(part.length, 'bytes_in')
      this.bytes += part.length
      this.digest.update(part)
      await stream.send(part)
    }
  }
}
