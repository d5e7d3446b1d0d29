import { AuthorityError } from '@authority/protocol'
import type { ByteLease, EffectResult, EffectSession, Permit } from '../contract.ts'
import { BodyPump } from './body-pump.ts'
import { type Dial, dialFirst } from './dial.ts'
import { describe, type FetchRequest, headBytes, portOf, redirected, targetOfUrl, withRealHost } from './fetch-request.ts'
import { type HttpAnswer, sendOver } from './http-client.ts'
import { MAX_RESPONSE_HEADERS } from './limits.ts'
import { connectQuestion } from './object.ts'
import type { SyntheticAddresses } from './synthetic.ts'
import { type VetDependencies, vettedAddresses } from './vet.ts'

export interface FetchDependencies extends VetDependencies {
  readonly synthetic: SyntheticAddresses
  readonly dial: Dial
  /** Certificate authorities, PEM. */
  readonly roots: readonly string[]
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
  lease.onWithdrawn((error) => limit.abort(error))
  // The body outlives the reply, so the request's own signal must not end it: only until the answer's head is here.
  const onAbort = (): void => limit.abort(permit.signal.reason)
  permit.signal.addEventListener('abort', onAbort, { once: true })
  if (permit.signal.aborted) onAbort()
  let answer: HttpAnswer | null = null
  let hops = 0
  try {
    let request = first
    answer = await oneHop(request, lease, permit, limit.signal, deps)
    for (let next = redirected(request, answer.status, answer.location); next !== null; ) {
      hops += 1
      answer.close()
      await permit.decideAgain([connectQuestion(targetOfUrl(next.url, deps.synthetic))], describe(next.method, next.url))
      request = withRealHost(next, deps.synthetic)
      answer = await oneHop(request, lease, permit, limit.signal, deps)
      next = redirected(request, answer.status, answer.location)
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
    answer?.close()
    await lease.close({ bytes_in: 0, hops }).catch(() => undefined)
    throw error
  } finally {
    permit.signal.removeEventListener('abort', onAbort)
  }
}

/** Heads count like bodies: a URL carries bytes out as well as a body does. */
async function oneHop(
  request: FetchRequest,
  lease: ByteLease,
  permit: Permit,
  signal: AbortSignal,
  deps: FetchDependencies,
): Promise<HttpAnswer> {
  const addresses = await vettedAddresses(targetOfUrl(request.url, deps.synthetic), { ...permit, signal }, deps)
  await lease.spend(headBytes(request) + (request.body?.length ?? 0), 'bytes_out')
  const { socket } = await dialFirst(deps.dial, addresses, portOf(request.url), signal)
  const answer = await sendOver(socket, request, deps.roots, signal)
  try {
    await lease.spend(answer.headBytes, 'bytes_in')
    return answer
  } catch (error) {
    answer.close()
    throw error
  }
}

/** Header values are Latin-1 on the wire and could hold anything: cut to the field, never beyond. */
function clip(text: string, maxBytes: number): string {
  return Buffer.byteLength(text) <= maxBytes ? text : text.slice(0, Math.floor(maxBytes / 3)).toWellFormed()
}
