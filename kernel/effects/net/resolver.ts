import { lookup } from 'node:dns/promises'
import { AuthorityError } from '@authority/protocol'
import { RESOLVE_DEADLINE_MS } from './limits.ts'
import type { Resolver } from './vet.ts'

/** The host's own resolver, bounded in time. */
export const systemResolver: Resolver = async (name, signal) => {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(RESOLVE_DEADLINE_MS)])
  const answers = lookup(name, { all: true, verbatim: true })
  const expired = new Promise<never>((_, reject) => {
    deadline.addEventListener(
      'abort',
      () => reject(new AuthorityError('E_TIMEOUT', `resolving ${name} took longer than ${RESOLVE_DEADLINE_MS} ms`)),
      { once: true },
    )
  })
  try {
    return (await Promise.race([answers, expired])).map((answer) => answer.address)
  } catch (error) {
    if (error instanceof AuthorityError) throw error
    throw new AuthorityError('E_UPSTREAM', `${name} does not resolve`, { errno: 'EHOSTUNREACH', cause: error })
  }
}
