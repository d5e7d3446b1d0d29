/**
 * Whether every path the child lets be looked at, the parent lets be looked at too: by rules for looking, reading and changing, each after its own deny list,
 * and on the way to what they could match. Nine lists of each policy walked together as automata.
 */
import type { PathLists } from '../document.ts'
import type { LoadedPolicy } from '../stage.ts'
import { confirm } from './confirm.ts'
import { MAX_EXPLORED } from './limits.ts'
import { type PathSet, pathSet, representatives } from './path-automaton.ts'
import { type Containment, YES } from './types.ts'

const SECTIONS = ['look', 'read', 'write'] as const
type Section = (typeof SECTIONS)[number]

interface Lists {
  readonly allow: PathLists
  readonly ask: PathLists
  readonly deny: PathLists
}

export function looksContained(parent: LoadedPolicy, child: LoadedPolicy): Containment {
  const outer = listsOf(parent)
  const inner = listsOf(child)
  if (isPartOf(inner, outer)) return YES
  return new Walk(parent, child, inner, outer).answer()
}

/** The usual case at once: fewer rules under the same denials, and nothing asked about. */
function isPartOf(inner: Lists, outer: Lists): boolean {
  const same = JSON.stringify([inner.deny, inner.ask]) === JSON.stringify([outer.deny, outer.ask])
  return same && SECTIONS.every((section) => isSubset(inner.allow[section], outer.allow[section]))
}

function isSubset(some: readonly string[], all: readonly string[]): boolean {
  const known = new Set(all)
  return some.every((text) => known.has(text))
}

class Walk {
  readonly #parent: LoadedPolicy
  readonly #child: LoadedPolicy
  readonly #inner: Side
  readonly #outer: Side
  /** Deny rules both have: whatever a file system takes for the same, both deny it or neither does. */
  readonly #common: Readonly<Record<Section, { readonly surely: number; readonly perhaps: number }>>
  readonly #sets: PathSet[] = []
  readonly #alphabet: readonly string[]

  constructor(parent: LoadedPolicy, child: LoadedPolicy, inner: Lists, outer: Lists) {
    this.#parent = parent
    this.#child = child
    const common = each((section) => inner.deny[section].filter((text) => outer.deny[section].includes(text)))
    const rest = (lists: Lists): PathLists => each((section) => lists.deny[section].filter((text) => !common[section].includes(text)))
    this.#inner = this.#side({ ...inner, deny: rest(inner) }, false)
    this.#outer = this.#side({ ...outer, deny: rest(outer) }, true)
    this.#common = each((section) => ({ surely: this.#add(common[section], false), perhaps: this.#add(common[section], true) }))
    this.#alphabet = representatives(
      [inner, outer].flatMap(({ allow, ask, deny }) =>
        SECTIONS.flatMap((section) => [...allow[section], ...ask[section], ...deny[section]]),
      ),
    )
  }

  answer(): Containment {
    const queue = [{ path: '', states: this.#sets.map((set) => set.start) }]
    const seen = new Set<string>()
    let doubt: string | null = null
    for (const { path, states } of queue) {
      const object = path === '' ? '/' : path
      if (!path.endsWith('/') && this.#goesBeyond(states)) {
        const found = confirm(this.#parent, this.#child, { action: 'fs.look', object })
        if (found !== null) return found
        doubt ??= object
      }
      for (const char of path === '' ? ['/'] : this.#alphabet) {
        if (char === '/' && path.endsWith('/')) continue
        const next = this.#sets.map((set, index) => set.advance(states[index] ?? new Set(), char))
        // Where the child can neither allow nor ask any more, nothing is left to look at.
        if (this.#inner.rules.every((index) => next[index]?.size === 0)) continue
        const key = `${char === '/'}|${next.map((places) => [...places].sort().join(' ')).join('|')}`
        if (seen.has(key)) continue
        seen.add(key)
        if (seen.size > MAX_EXPLORED)
          return { contains: 'unknown', why: 'the rules for files are too many or too tangled to compare what may be looked at' }
        queue.push({ path: path + char, states: next })
      }
    }
    return doubt === null
      ? YES
      : {
          contains: 'unknown',
          why: `whether looking at names like ${doubt} lies inside depends on which names a file system takes for the same`,
        }
  }

  /** For every way the denials both have may fall: the child lets it be looked at (or asks), and the parent does not. */
  #goesBeyond(states: readonly ReadonlySet<string>[]): boolean {
    const matches = (index: number): boolean => this.#sets[index]?.accepts(states[index] ?? new Set()) === true
    const reaches = (index: number): boolean => matches(index) || this.#sets[index]?.reaches(states[index] ?? new Set()) === true
    const possible = (section: Section): boolean[] => {
      const { surely, perhaps } = this.#common[section]
      return matches(surely) ? [true] : matches(perhaps) ? [true, false] : [false]
    }
    const standing = (side: Side, common: Record<Section, boolean>): 'allow' | 'ask' | 'deny' => {
      const denied = each((section) => common[section] || matches(side.deny[section]))
      if (denied.look || (denied.read && denied.write)) return 'deny'
      if (matches(side.ask.look)) return 'ask'
      const through = SECTIONS.filter((section) => section === 'look' || !denied[section])
      return through.some((section) => reaches(side.allow[section]) || reaches(side.ask[section])) ? 'allow' : 'deny'
    }
    return possible('look').some((look) =>
      possible('read').some((read) =>
        possible('write').some((write) => {
          const inner = standing(this.#inner, { look, read, write })
          const outer = standing(this.#outer, { look, read, write })
          return inner === 'allow' ? outer !== 'allow' : inner === 'ask' && outer === 'deny'
        }),
      ),
    )
  }

  #side({ allow, ask, deny }: Lists, relaxed: boolean): Side {
    const [allows, asks] = [each((section) => this.#add(allow[section], false)), each((section) => this.#add(ask[section], false))]
    return {
      allow: allows,
      ask: asks,
      deny: each((section) => this.#add(deny[section], relaxed)),
      rules: SECTIONS.flatMap((section) => [allows[section], asks[section]]),
    }
  }

  #add(patterns: readonly string[], relaxed: boolean): number {
    return this.#sets.push(pathSet(patterns, relaxed)) - 1
  }
}

/** Where the automata of one policy stand among all. Denials: of the child as written, of the parent relaxed. */
interface Side {
  readonly allow: Readonly<Record<Section, number>>
  readonly ask: Readonly<Record<Section, number>>
  readonly deny: Readonly<Record<Section, number>>
  readonly rules: readonly number[]
}

function each<T>(of: (section: Section) => T): Record<Section, T> {
  return { look: of('look'), read: of('read'), write: of('write') }
}

function listsOf({ expanded, document }: LoadedPolicy): Lists {
  return { allow: each((section) => expanded[section].map(({ text }) => text)), ask: document.fs.ask, deny: document.fs.deny }
}
