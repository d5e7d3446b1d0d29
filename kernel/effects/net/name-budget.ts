import { AuthorityError } from '@authority/protocol'
import { LONG_LABEL_BYTES, MAX_RESOLVED_INFORMATION, MAX_RESOLVED_NAME_BYTES, MAX_RESOLVED_NAMES } from './limits.ts'
import type { Resolver } from './vet.ts'

/**
 * What names alone may carry out of a run. Only a name that is dialled is ever asked upstream, and only where a wildcard rule allows many. Each further name costs one
 * of their number, its length, and what its new labels could say: random ones a lot, words little. Throws E_RATE_LIMIT when one of the three is used up; the names a
 * run has asked for it may go on asking for.
 */
export function withNameBudget(resolve: Resolver): Resolver {
  const names = new Set<string>()
  /** Of those names, themselves included. */
  const suffixes = new Set<string>()
  let bytes = 0
  let information = 0
  return (name, signal) => {
    if (!names.has(name)) {
      const more = informationOf(name, suffixes)
      if (names.size >= MAX_RESOLVED_NAMES) return refuse(name, `asked for ${names.size} different names`)
      if (bytes + name.length > MAX_RESOLVED_NAME_BYTES) return refuse(name, `asked for ${bytes} bytes of names`)
      if (information + more > MAX_RESOLVED_INFORMATION)
        return refuse(name, 'asked for many names that look like data, and this is another')
      names.add(name)
      for (const suffix of suffixesOf(name)) suffixes.add(suffix)
      bytes += name.length
      information += more
    }
    return resolve(name, signal)
  }
}

/** Bytes its labels could carry beyond the longest suffix that is known: those of names that differ in one label are those of that label. */
export function informationOf(name: string, known: ReadonlySet<string>): number {
  const labels = name.split('.')
  const at = suffixesOf(name).findIndex((suffix) => known.has(suffix))
  return labels.slice(0, at < 0 ? labels.length : at).reduce((sum, label) => sum + labelInformation(label), 0)
}

/** By the frequency of its characters (Shannon); all of a label no word has the length of. */
function labelInformation(label: string): number {
  if (label.length > LONG_LABEL_BYTES) return label.length
  const counts = new Map<string, number>()
  for (const character of label) counts.set(character, (counts.get(character) ?? 0) + 1)
  let bits = 0
  for (const count of counts.values()) bits -= count * Math.log2(count / label.length)
  return bits / 8
}

function suffixesOf(name: string): string[] {
  const labels = name.split('.')
  return labels.map((_, i) => labels.slice(i).join('.'))
}

function refuse(name: string, what: string): Promise<never> {
  return Promise.reject(
    new AuthorityError('E_RATE_LIMIT', `this run has ${what}: ${name} is not resolved`, {
      hint: `a name that is mapped is not asked for: --host ${name}=ADDRESS, or {"version":"1.0","net":{"hosts":{"${name}":"ADDRESS"}}}`,
    }),
  )
}
