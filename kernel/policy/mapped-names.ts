/** Names that `net.hosts` maps, found by the rules that speak of them: each rule costs its matches, not the number of names. */
import { type HostPattern, parseConnectPattern } from '../patterns/index.ts'
import type { PolicyDocument } from './document.ts'

export function mappedNames(names: Iterable<string>): (pattern: HostPattern) => readonly string[] {
  const all = [...names]
  const known = new Set(all)
  const below = new Map<string, string[]>()
  for (const name of all)
    for (let dot = name.indexOf('.'); dot !== -1; dot = name.indexOf('.', dot + 1)) {
      const parent = name.slice(dot + 1)
      const list = below.get(parent)
      if (list === undefined) below.set(parent, [name])
      else list.push(name)
    }
  return (pattern) => {
    if (pattern.kind === 'any') return all
    if (pattern.kind === 'below') return below.get(pattern.parent) ?? []
    return known.has(pattern.name) ? [pattern.name] : []
  }
}

/** Rules for addresses that the mappings make of the rules for names: counted before any is made. */
export function countMapped({ net }: Pick<PolicyDocument, 'net'>): number {
  const matching = mappedNames(net.hosts.keys())
  return [...net.connect, ...net.ask.connect].reduce((sum, rule) => {
    const pattern = parseConnectPattern(rule)
    return pattern.kind === 'dns' ? sum + matching(pattern.host).length : sum
  }, 0)
}
