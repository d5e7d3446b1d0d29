import { AuthorityError } from '@authority/protocol'
import { MAX_RESOLVED_NAME_BYTES, MAX_RESOLVED_NAMES } from './limits.ts'
import type { Resolver } from './vet.ts'

/**
 * What names alone may carry out of a run. Only a name that is dialled is ever asked upstream, and only where a wildcard rule allows many; each further one
 * costs its own length. Throws E_RATE_LIMIT when the run has asked for too many, or too much; the names it knows it may go on asking for.
 */
export function withNameBudget(resolve: Resolver): Resolver {
  const asked = new Set<string>()
  let bytes = 0
  return (name, signal) => {
    if (!asked.has(name)) {
      if (asked.size >= MAX_RESOLVED_NAMES || bytes + name.length > MAX_RESOLVED_NAME_BYTES)
        return Promise.reject(
          new AuthorityError('E_RATE_LIMIT', `this run has asked for ${asked.size} different names: no further ones are resolved`, {
            hint: 'name hosts one by one in the policy where a wildcard stands for so many',
          }),
        )
      asked.add(name)
      bytes += name.length
    }
    return resolve(name, signal)
  }
}
