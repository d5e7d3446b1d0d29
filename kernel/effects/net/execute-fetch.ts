import { createHash } from 'node:crypto'
import { AuthorityError } from '@authority/protocol'
import type { Json } from '../../vocabulary/index.ts'
import type { ByteLease, EffectResult, EffectSession, Permit } from '../contract.ts'
import { BodyPump } from './body-pump.ts'
import { type Dial, dialFirst } from './dial.ts'
import { describe, type FetchRequest, headBytes, portOf, redirected, targetOfUrl, withRealHost } from './fetch-request.ts'
import { type HttpAnswer, sendOver } from './http-client.ts'
import { MAX_RESPONSE_HEADERS } from './limits.ts'
import { connectQuestion } from './object.ts'
import type { SyntheticAddresses } from './synthetic.ts'
import { Upload } from './upload.ts'
import { type VetDependencies, vettedAddresses } from './vet.ts'

export interface FetchDependencies extends VetDependencies {
  readonly synthetic: SyntheticAddresses
  readonly dial: Dial
  /** Certificate authorities, PEM. */
  readonly roots: readonly string[]
}

/** One exchange: each hop vetted, pinned and, from the second on, decided and paid again; the answer's body follows as a stream under the caps. */
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
  lease.onWithdrawn((error) => limit.abort(error))
  // Both bodies outlive the reply, so the request's own signal must not end them: only until the answer's head is here.
  const onAbort = (): void => limit.abort(permit.signal.reason)
  permit.signal.addEventListener('abort', onAbort, { once: true })
  if (permit.signal.aborted) onAbort()
  const { streamed } = first
  const upload = streamed === null ? null : new Upload(streamed.body, streamed.bytes, lease, (error) => limit.abort(error))
  const exchange: Exchange = { lease, permit, signal: limit.signal, upload, deps }
  let answer: HttpAnswer | null = null
  let hops = 0
  try {
    let request = first
    answer = await oneHop(request, exchange)
    for (let next = redirected(request, answer.status, answer.location); next !== null; ) {
      hops += 1
      answer.close()
      // A redirect that is followed has no use for the rest of it.
      upload?.end()
      await permit.decideAgain([connectQuestion(targetOfUrl(next.url, deps.synthetic))], describe(next.method, next.url))
      await permit.reserveMore({ calls: 1 })
      request = withRealHost(next, deps.synthetic)
      answer = await oneHop(request, exchange)
      next = redirected(request, answer.status, answer.location)
    }
    const body = new BodyPump(answer, lease, first.maxBytes, () => {
      clearTimeout(timer)
      upload?.end()
      return upload?.facts ?? wholeBody(first)
    })
    const stream = body.attach(session, limit)
    const headers = answer.headers.slice(0, MAX_RESPONSE_HEADERS)
    return {
      result: [answer.status, request.url.href, headers.map(([name, value]) => [clip(name, 256), clip(value, 8192)]), stream.number],
      detail: { status: answer.status, hops, headers_dropped: answer.headers.length - headers.length },
    }
  } catch (error) {
    clearTimeout(timer)
    answer?.close()
    upload?.end()
    await lease.close({ bytes_in: 0, hops, ...upload?.facts }).catch(() => undefined)
    throw error
  } finally {
    permit.signal.removeEventListener('abort', onAbort)
  }
}

interface Exchange {
  readonly lease: ByteLease
  readonly permit: Permit
  readonly signal: AbortSignal
  /** Of the first hop alone. */
  readonly upload: Upload | null
  readonly deps: FetchDependencies
}

/** Heads count like bodies: a URL carries bytes out as well as a body does. */
async function oneHop(request: FetchRequest, { lease, permit, signal, upload, deps }: Exchange): Promise<HttpAnswer> {
  const decideAgain: Permit['decideAgain'] = (questions, requested) => permit.decideAgain(questions, requested)
  const addresses = await vettedAddresses(targetOfUrl(request.url, deps.synthetic), { signal, decideAgain }, deps)
  await lease.spend(headBytes(request) + (request.body?.length ?? 0), 'bytes_out')
  const { socket } = await dialFirst(deps.dial, addresses, portOf(request.url), signal)
  const answer = await sendOver(socket, request, deps.roots, signal, request.streamed === null ? null : upload)
  try {
    await lease.spend(answer.headBytes, 'bytes_in')
    return answer
  } catch (error) {
    answer.close()
    throw error
  }
}

function wholeBody({ body }: FetchRequest): { readonly [key: string]: Json } {
  return body === null ? {} : { bytes_out: body.length, sha256_out: createHash('sha256').update(body).digest('hex') }
}

/** Header values are Latin-1 on the wire and could hold anything: cut to the field, never beyond. */
function clip(text: string, maxBytes: number): string {
  return Buffer.byteLength(text) <= maxBytes ? text : text.slice(0, Math.floor(maxBytes / 3)).toWellFormed()
}
