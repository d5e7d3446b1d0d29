/** Many path globs as one index: a decision costs about the depth of the path, whatever the number of literal and prefix rules. */
import { type Alternative, matchAlternative, parsePathGlob, pathSegments, reachesAlternative } from './path-glob.ts'

interface Entry {
  readonly rule: number
  readonly alternative: Alternative
}

export interface PathRules {
  /** Lowest index of a rule that matches a canonical path, or null. */
  match(path: string): number | null
  /** Lowest index of a rule that could match something strictly below the path, or null. */
  reaches(path: string): number | null
  /** A rule that shares the most leading directories with the path, for explanations; null when none shares any. */
  nearest(path: string): number | null
}

/** Throws PatternError from the pattern at fault. */
export function compilePathRules(patterns: readonly string[]): PathRules {
  const literals = new Map<string, number>()
  /** `/base/**`: matches the base and all below it. */
  const trees = new Map<string, number>()
  /** Everything else, under the literal directory it begins with. */
  const others = new Map<string, Entry[]>()
  /** Directories strictly above some rule's base. */
  const ways = new Map<string, number>()
  for (const [rule, text] of patterns.entries()) {
    for (const alternative of parsePathGlob(text).alternatives) {
      const { segments, base, baseLength, literal } = alternative
      if (literal) keepLowest(literals, base, rule)
      else if (segments.length === baseLength + 1 && segments[baseLength]?.kind === 'globstar') keepLowest(trees, base, rule)
      else pushTo(others, base, { rule, alternative })
      for (let above = base; above !== '/'; ) {
        above = parentOf(above)
        keepLowest(ways, above, rule)
      }
    }
  }

  /** The last answer: an effect is decided several times on its way, about the same path. */
  let last: { readonly path: string; readonly rule: number | null } = { path: '', rule: null }

  function match(path: string): number | null {
    if (path !== last.path) last = { path, rule: find(path) }
    return last.rule
  }

  function find(path: string): number | null {
    const segments = pathSegments(path)
    if (segments === null) return null
    let best = lower(literals.get(path), null)
    forEachAncestor(path, segments.length, (directory, depth) => {
      best = lower(trees.get(directory), best)
      for (const { rule, alternative } of others.get(directory) ?? []) {
        if ((best === null || rule < best) && matchAlternative(alternative.segments, segments, depth)) best = rule
      }
    })
    return best
  }

  function reaches(path: string): number | null {
    const segments = pathSegments(path)
    if (segments === null) return null
    let best = lower(ways.get(path), null)
    forEachAncestor(path, segments.length, (directory) => {
      best = lower(trees.get(directory), best)
      for (const { rule, alternative } of others.get(directory) ?? []) {
        if ((best === null || rule < best) && reachesAlternative(alternative.segments, segments)) best = rule
      }
    })
    return best
  }

  function nearest(path: string): number | null {
    const segments = pathSegments(path)
    let found: number | null = null
    forEachAncestor(path, segments?.length ?? 0, (directory) => {
      if (directory !== '/')
        found ??= trees.get(directory) ?? others.get(directory)?.[0]?.rule ?? ways.get(directory) ?? literals.get(directory) ?? null
    })
    return found
  }

  return { match, reaches, nearest }
}

/** The path itself first, then every directory above it up to `/`, with the number of its segments. */
function forEachAncestor(path: string, depth: number, visit: (directory: string, depth: number) => void): void {
  let directory = path
  for (let left = depth; left > 0; left--) {
    visit(directory, left)
    directory = parentOf(directory)
  }
  visit('/', 0)
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/'
}

function lower(candidate: number | undefined, best: number | null): number | null {
  return candidate !== undefined && (best === null || candidate < best) ? candidate : best
}

function keepLowest(map: Map<string, number>, key: string, rule: number): void {
  if (!map.has(key)) map.set(key, rule)
}

function pushTo<V>(map: Map<string, V[]>, key: string, value: V): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}
