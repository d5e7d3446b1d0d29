/** Texts, one for each way in which the conditions on one argument can hold and fail together: all of them walked at once, character by character. */
import type { Condition } from '../tool-rule.ts'
import { testFor } from '../tool-rule.ts'
import { MAX_TEXT_STATES } from './limits.ts'
import { type PathSet, pathSet, representatives } from './path-automaton.ts'

/** How far a text is a canonical path: only such a one can match a glob. */
type Path = 'nothing' | 'root' | 'slash' | 'dot' | 'dots' | 'name' | 'none'

interface State {
  readonly text: string
  /** How much of each named text and prefix it is; -1: it differs. */
  readonly words: readonly number[]
  readonly globs: readonly ReadonlySet<string>[]
  readonly path: Path
  /** Characters, up to one more than any condition tells apart. */
  readonly length: number
}

/** In every text there could be: `/`, `.` and a control character, which no path holds, besides what the conditions name. */
const CONTROL = '\u0001'

/** Null when there are too many states to look at. */
export function stringsFor(conditions: readonly Condition[]): string[] | null {
  const constants = conditions.flatMap(({ equals, in: values }) => [equals, ...(values ?? [])]).filter((value) => typeof value === 'string')
  const prefixes = conditions.flatMap(({ prefix }) => prefix ?? [])
  const patterns = [...new Set(conditions.flatMap(({ glob }) => glob ?? []))]
  const words = [...constants, ...prefixes].map((text, index) => ({ chars: Array.from(text), open: index >= constants.length }))
  const globs = patterns.map((pattern) => pathSet([pattern], false))
  const lengths = conditions.flatMap(({ max_length }) => max_length ?? [])
  const longest = lengths.length === 0 ? 0 : Math.max(...lengths) + 1
  const alphabet = [...representatives(patterns, [...constants, ...prefixes].join('')), CONTROL]
  const tests = conditions.map(testFor)

  const found = new Map<string, string>()
  const queue: State[] = [{ text: '', words: words.map(() => 0), globs: globs.map((set) => set.start), path: 'nothing', length: 0 }]
  const seen = new Set(queue.map(keyOf))
  for (const state of queue) {
    const answers = tests.map((test) => (test(state.text) ? '1' : '0')).join('')
    if (!found.has(answers)) found.set(answers, state.text)
    for (const char of alphabet) {
      const path = pathAfter(state.path, char)
      const next: State = {
        text: state.text + char,
        words: words.map(({ chars, open }, index) => wordAfter(state.words[index] ?? -1, chars, open, char)),
        globs: globs.map((set, index) => globAfter(set, state.globs[index], path, char)),
        path,
        length: Math.min(state.length + 1, longest),
      }
      const key = keyOf(next)
      if (seen.has(key)) continue
      seen.add(key)
      if (seen.size > MAX_TEXT_STATES) return null
      queue.push(next)
    }
  }
  return [...found.values()]
}

function keyOf({ words, globs, path, length }: State): string {
  return `${path} ${length} ${words.join(',')} ${globs.map((places) => [...places].sort().join(' ')).join('|')}`
}

function wordAfter(matched: number, chars: readonly string[], open: boolean, char: string): number {
  if (matched === -1) return -1
  if (matched === chars.length) return open ? matched : -1
  return chars[matched] === char ? matched + 1 : -1
}

function globAfter(set: PathSet, places: ReadonlySet<string> | undefined, path: Path, char: string): ReadonlySet<string> {
  return path === 'none' || places === undefined ? new Set() : set.advance(places, char)
}

function pathAfter(path: Path, char: string): Path {
  if (path === 'none' || char === CONTROL) return 'none'
  if (path === 'nothing') return char === '/' ? 'root' : 'none'
  if (char === '/') return path === 'name' ? 'slash' : 'none'
  if (char !== '.' || path === 'name' || path === 'dots') return 'name'
  return path === 'dot' ? 'dots' : 'dot'
}
