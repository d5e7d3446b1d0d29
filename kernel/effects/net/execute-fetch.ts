import { createHash } from 'node:crypto'
import { AuthorityError, MAX_CHUNK_BYTES } from '@authority/protocol'
import type { ByteLease, EffectResult, EffectSession, GateStream, Permit } from '../contract.ts'
import { describe, type FetchRequest, portOf, redirected, targetOfUrl } from './fetch-request.ts'
import { type HttpAnswer, sendPinned, upstreamError } from './http-client.ts'
import { MAX_RESPONSE_HEADERS } from './limits.ts'
import { connectQuestion } from './object.ts'
import type { SyntheticAddresses } from './synthetic.ts'
import { type VetDependencies, vettedAddresses } from './vet.ts'

export interface FetchDependencies extends VetDependencies {
  readonly synthetic: SyntheticAddresses
}

/** One exchange: each hop vetted, pinned and, from the second on, decided again; the body follows as a stream under the caps. */
export async function executeFetch(
  first: FetchRequest,
  session: EffectSession,
  permit: Permit,
  deps: FetchDependencies,
): Promise<EffectResult> {
  const lease = permit.lease()
  const limit = new AbortController()
  const timer = setTimeout(
    () => limit.abort(new AuthorityError('E_TIMEOUT', `${first.url.origin}: the exchange took longer than ${first.timeoutMs} ms`)),
    first.timeoutMs,
  )
  // The body outlives the reply, so the request's own signal must not end it: only until the answer's head is here.
  const onAbort = (): void => limit.abort(permit.signal.reason)
  permit.signal.addEventListener('abort', onAbort, { once: true })
  if (permit.signal.aborted) onAbort()
  let hops = 0
  try {
    let request = first
    let answer = await oneHop(request, lease, permit, limit.signal, deps)
    for (let next = follow(request, answer); next !== null; next = follow(request, answer)) {
      hops += 1
      answer.close()
      await permit.decideAgain([connectQuestion(targetOfUrl(next.url, deps.synthetic))], describe(next.method, next.url))
      request = next
      answer = await oneHop(request, lease, permit, limit.signal, deps)
    }
    const body = new BodyPump(answer, lease, first.maxBytes, () => clearTimeout(timer))
    const stream = body.attach(session, limit)
    const headers = answer.headers.slice(0, MAX_RESPONSE_HEADERS)
    return {
      result: [answer.status, request.url.href, headers.map(([name, value]) => [clip(name, 256), clip(value, 8192)]), stream.number],
      detail: { status: answer.status, hops, headers_dropped: answer.headers.length - headers.length },
    }
  } catch (error) {
    clearTimeout(timer)
    await lease.close({ bytes_in: 0, hops }).catch(() => undefined)
    throw error
  } finally {
    permit.signal.removeEventListener('abort', onAbort)
  }
}

async function oneHop(
  request: FetchRequest,
  lease: ByteLease,
  permit: Permit,
  signal: AbortSignal,
  deps: FetchDependencies,
): Promise<HttpAnswer> {
  const target = targetOfUrl(request.url, deps.synthetic)
  const addresses = await vettedAddresses({ ...target, port: portOf(request.url) }, permit, deps)
  if (request.body !== null) await lease.spend(request.body.length)
  let failure: unknown
  for (const address of addresses) {
    try {
      return await sendPinned(request, address, signal)
    } catch (error) {
      failure = error
      // Only a connection that was refused is known to have carried nothing; anything else may have happened.
      if (!isRefused(error)) break
    }
  }
  throw failure
}

function isRefused(error: unknown): boolean {
  return error instanceof AuthorityError && /ECONNREFUSED|EHOSTUNREACH|ENETUNREACH/.test(error.message)
}

function follow(request: FetchRequest, answer: HttpAnswer): FetchRequest | null {
  try {
    return redirected(request, answer.status, answer.location)
  } catch (error) {
    answer.close()
    throw error
  }
}

/** Header values are Latin-1 on the wire and could hold anything: cut to the field, never beyond. */
function clip(text: string, maxBytes: number): string {
  return Buffer.byteLength(text) <= maxBytes ? text : text.slice(0, Math.floor(maxBytes / 3))
}

class BodyPump {
  private readonly answer: HttpAnswer
  private readonly lease: ByteLease
  private readonly maxBytes: number
  private readonly onDone: () => void
  private readonly digest = createHash('sha256')
  private bytes = 0

  constructor(answer: HttpAnswer, lease: ByteLease, maxBytes: number, onDone: () => void) {
    this.answer = answer
    this.lease = lease
    this.maxBytes = maxBytes
    this.onDone = onDone
  }

  attach(session: EffectSession, limit: AbortController): GateStream {
    const stream = session.openStream({
      write: () => Promise.reject(new AuthorityError('E_PROTOCOL', 'a response body is read only')),
      end: () => undefined,
      reset: () => limit.abort(new AuthorityError('E_CANCELLED', 'the agent gave the body up')),
    })
    void this.pump(stream, limit)
    return stream
  }

  private async pump(stream: GateStream, limit: AbortController): Promise<void> {
    try {
      for await (const chunk of this.answer.body) await this.pass(chunk, stream)
      stream.end()
    } catch (error) {
      const failure = upstreamError(new URL('http://body'), error, limit.signal)
      stream.reset(failure.code, failure.message.replace('http://body', 'the response body'))
    } finally {
      this.onDone()
      this.answer.close()
      // A log that cannot be written latches by itself; there is nobody here to tell.
      await this.lease.close({ bytes_in: this.bytes, sha256_in: this.digest.digest('hex') }).catch(() => undefined)
    }
  }

  private async pass(chunk: Uint8Array, stream: GateStream): Promise<void> {
    for (let at = 0; at < chunk.length; at += MAX_CHUNK_BYTES) {
      const part = chunk.subarray(at, at + MAX_CHUNK_BYTES)
      if (this.bytes + part.length > this.maxBytes)
        throw new AuthorityError('E_FRAME_TOO_LARGE', `the response body is larger than ${this.maxBytes} bytes`)
      await this.lease.spend(part.length)
      this.bytes += part.length
      this.digest.update(part)
      await stream.send(part)
    }
  }
}
