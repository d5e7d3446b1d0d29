/** Whether every path the child allows (or asks about) is allowed (or asked about) by the parent. */
import { alwaysDenied, guardedFolder } from '../always-deny.ts'
import { literalPathOf } from '../literal-path.ts'
import type { LoadedPolicy } from '../stage.ts'
import { confirm } from './confirm.ts'
import { MAX_EXPLORED } from './limits.ts'
import { type PathSet, pathSet, representatives } from './path-automaton.ts'
import { type Containment, YES } from './types.ts'

type Action = 'fs.read' | 'fs.write'

interface Lists {
  readonly allow: readonly string[]
  readonly ask: readonly string[]
  readonly deny: readonly string[]
}

export function pathsContained(parent: LoadedPolicy, child: LoadedPolicy, action: Action): Containment {
  const lifted = liftsMore(parent, child, action)
  if (lifted !== null) return lifted
  const outer = listsOf(parent, action)
  const inner = listsOf(child, action)
  // A deny rule both have denies the same to both, twins included.
  const denied = outer.deny.filter((text) => !inner.deny.includes(text))
  const asks = outer.ask.length > 0 || inner.ask.length > 0
  const redundant = denied.length === 0 && !asks ? new Set(outer.allow) : new Set<string>()
  const allow = inner.allow.filter((text) => !redundant.has(text))
  if (allow.length === 0 && inner.ask.length === 0) return YES
  return explore(parent, child, action, { ...inner, allow }, { ...outer, deny: denied })
}

function explore(parent: LoadedPolicy, child: LoadedPolicy, action: Action, inner: Lists, outer: Lists): Containment {
  const sets: readonly PathSet[] = [
    pathSet(inner.allow, false),
    pathSet(inner.ask, false),
    pathSet(inner.deny, false),
    pathSet(outer.allow, false),
    pathSet(outer.ask, false),
    pathSet(outer.deny, true),
  ]
  const alphabet = representatives([...inner.allow, ...inner.ask, ...inner.deny, ...outer.allow, ...outer.ask, ...outer.deny])
  const queue: { readonly path: string; readonly states: readonly ReadonlySet<string>[] }[] = [
    { path: '', states: sets.map((set) => set.start) },
  ]
  const seen = new Set<string>()
  let doubt: string | null = null
  for (let at = 0; at < queue.length; at++) {
    const { path, states } = queue[at] ?? { path: '', states: [] }
    const object = path === '' ? '/' : path
    if (!path.endsWith('/') && goesBeyond(sets, states)) {
      const found = confirm(parent, child, { action, object })
      if (found !== null) return found
      doubt ??= object
    }
    for (const char of path === '' ? ['/'] : alphabet) {
      if (char === '/' && path.endsWith('/')) continue
      const next = sets.map((set, index) => set.advance(states[index] ?? new Set(), char))
      // Where the child can neither allow nor ask any more, nothing is left to look at.
      if (next[0]?.size === 0 && next[1]?.size === 0) continue
      const key = `${char === '/'}|${next.map((places) => [...places].sort().join(' ')).join('|')}`
      if (seen.has(key)) continue
      seen.add(key)
      if (seen.size > MAX_EXPLORED) return { contains: 'unknown', why: `the ${action} rules are too many or too tangled to compare` }
      queue.push({ path: path + char, states: next })
    }
  }
  return doubt === null
    ? YES
    : {
        contains: 'unknown',
        why: `whether ${action} on names like ${doubt} lies inside depends on which names a file system takes for the same`,
      }
}

/** Child: over-approximated (its deny rules as written). Parent: under-approximated (its deny rules relaxed). */
function goesBeyond(sets: readonly PathSet[], states: readonly ReadonlySet<string>[]): boolean {
  const [allows, asks, denies, parentAllows, parentAsks, parentDenies] = sets.map((set, index) => set.accepts(states[index] ?? new Set()))
  if (denies === true || (allows !== true && asks !== true)) return false
  if (parentDenies === true) return true
  return asks === true ? parentAsks !== true && parentAllows !== true : parentAllows !== true || parentAsks === true
}

/** Only a literal rule lifts an always-deny: the parent must have the same one. */
function liftsMore(parent: LoadedPolicy, child: LoadedPolicy, action: Action): Containment | null {
  if (action !== 'fs.write') return null
  for (const rule of child.document.fs.write) {
    const path = literalPathOf(rule)
    if (path === null || (alwaysDenied(path) === null && guardedFolder(path) === null)) continue
    const found = confirm(parent, child, { action, object: path })
    if (found !== null) return found
  }
  return null
}

function listsOf({ expanded, document }: LoadedPolicy, action: Action): Lists {
  const key = action === 'fs.read' ? 'read' : 'write'
  const { ask, deny } = document.fs
  // What may not be looked at may be neither read nor changed.
  return { allow: expanded[key].map(({ text }) => text), ask: ask[key], deny: [...deny[key], ...deny.look] }
}
