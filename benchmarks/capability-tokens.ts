/**
 * What every side of the comparison verifies, ours and the peers', by the same rule: as many different tokens (fewer biscuits, capability-peers.ts), each a root and
 * three narrowing blocks, made beforehand, in the same order, one after the other and then from the beginning.
 */
export interface Kind {
  readonly name: string
  /** Different tokens. */
  readonly tokens: number
  /** Different roots they were narrowed from. */
  readonly roots: number
}

/**
 * The gate remembers tokens and roots that were genuine twice (kernel/capability/limits.ts: 1,024 and 64, each with one place, which the next one there takes).
 * So many in turn push each other out before they come again: all but some in a thousand are new to it, which capability.ts counts.
 */
const MANY = 8192

export const KINDS: readonly Kind[] = [
  { name: 'one that comes again', tokens: 1, roots: 1 },
  { name: 'new children of a known root', tokens: MANY, roots: 1 },
  { name: 'new roots', tokens: MANY, roots: MANY },
]

/** The folder token `i` is narrowed to: children of one root differ in it. */
export function folderOf({ tokens, roots }: Kind, i: number): string {
  return tokens > roots ? `/work/unit-${i}` : '/work/src'
}

/** What is asked of a token that was narrowed to the folder: may this file be read? */
export function pathIn(folder: string): string {
  return `${folder}/main.ts`
}

/** The root of token `i`, by number; all of one length. */
export function rootOf({ roots }: Kind, i: number): string {
  return `run-${String(i % roots).padStart(8, '0')}`
}

export function makeAll<T>(kind: Kind, make: (folder: string, root: string) => T): readonly T[] {
  return Array.from({ length: kind.tokens }, (_, i) => make(folderOf(kind, i), rootOf(kind, i)))
}

/** Parses a token from its text, verifies it and asks about one effect. Throws when it is refused. */
export interface Side {
  readonly name: string
  readonly verify: () => void
}

/** A side that takes each of its cases in turn. */
export function inTurn<T>(name: string, cases: readonly T[], verify: (each: T) => void): Side {
  let next = 0
  return {
    name,
    verify: () => {
      const at = next
      next = at + 1 === cases.length ? 0 : at + 1
      verify(cases[at] as T)
    },
  }
}
