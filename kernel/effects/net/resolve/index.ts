import { AuthorityError } from '@authority/protocol'
import { MAX_RESOLVING, RESOLVE_DEADLINE_MS } from '../limits.ts'
import type { Resolver } from '../vet.ts'
import { ADDRESS_TYPES, type AddressAnswer, type AddressType } from './answer.ts'
import type { ResolverChoice } from './choice.ts'
import { askHttps } from './https.ts'
import { askServers } from './servers.ts'
import { Slots } from './slots.ts'
import { askSystem } from './system.ts'

export { type DnsServer, type ResolverChoice, resolverTexts } from './choice.ts'

/** `roots`: certificate authorities for DNS over HTTPS, PEM. Bounded in time and in questions at once. */
export function createResolver(choice: ResolverChoice, roots: readonly string[]): Resolver {
  const slots = new Slots(MAX_RESOLVING)
  return async (name, signal) => {
    const deadline = new AbortController()
    const late = (): void => deadline.abort(new AuthorityError('E_TIMEOUT', `resolving ${name} took longer than ${RESOLVE_DEADLINE_MS} ms`))
    const timer = setTimeout(late, RESOLVE_DEADLINE_MS)
    const either = AbortSignal.any([signal, deadline.signal])
    try {
      await slots.take(either)
      // The place is free when the question is over, not when nobody waits for it any more: the host's resolver cannot be stopped.
      const asked = ask(choice, roots, name, either).finally(() => slots.give())
      return await Promise.race([asked, aborted(either)])
    } catch (error) {
      throw either.aborted ? reasonOf(either) : error
    } finally {
      clearTimeout(timer)
    }
  }
}

function ask(choice: ResolverChoice, roots: readonly string[], name: string, signal: AbortSignal): Promise<readonly string[]> {
  switch (choice.kind) {
    case 'system':
      return askSystem(name)
    case 'servers':
      return bothFamilies(name, (type) => askServers(choice.servers, name, type, signal))
    case 'https': {
      const server = { url: new URL(choice.url), address: choice.address, roots }
      return bothFamilies(name, (type) => askHttps(server, name, type, signal))
    }
  }
}

/** One family that cannot be asked for does not keep the other from being reached. */
async function bothFamilies(name: string, question: (type: AddressType) => Promise<AddressAnswer>): Promise<readonly string[]> {
  const [six, four] = await Promise.allSettled([question(ADDRESS_TYPES.AAAA), question(ADDRESS_TYPES.A)])
  if (six.status === 'rejected' && four.status === 'rejected') throw four.reason
  const found = [four, six].map((one) => (one.status === 'fulfilled' ? one.value : null))
  // RFC 8020: a name that does not exist has neither.
  if (found.some((answer) => answer?.kind === 'no such name'))
    throw new AuthorityError('E_UPSTREAM', `${name} does not resolve`, { errno: 'EHOSTUNREACH' })
  return inTurn(found.map((answer) => (answer?.kind === 'addresses' ? answer.addresses : [])))
}

/** Of each list one: the few that are tried are of both families. */
function inTurn(lists: readonly (readonly string[])[]): string[] {
  const longest = Math.max(...lists.map((list) => list.length))
  return Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list.slice(i, i + 1))).flat()
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(reasonOf(signal))
    else signal.addEventListener('abort', () => reject(reasonOf(signal)), { once: true })
  })
}

function reasonOf(signal: AbortSignal): AuthorityError {
  return signal.reason instanceof AuthorityError ? signal.reason : new AuthorityError('E_CANCELLED', 'the request was cancelled')
}
