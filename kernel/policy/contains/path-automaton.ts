/**
 * Path globs as one automaton over characters, explored with one representative of each class of characters no pattern tells apart. Exact for allow and ask lists.
 * A deny list also covers names that only some file system takes for the same (fold.ts): `relaxed` matches at least all of those.
 */
import type { Alternative } from '../../patterns/path-glob.ts'
import { parsePathGlob } from '../../patterns/path-glob.ts'
import type { Segment, Step } from '../../patterns/segment-glob.ts'

/** A place in one alternative: before segment `segment`, inside its steps, or inside a name that `**` takes. */
interface Place {
  readonly alternative: number
  readonly segment: number
  /** -1: between segments; -2: inside a name of `**`. */
  readonly step: number
}

export interface PathSet {
  readonly start: ReadonlySet<string>
  /** Where the set is after one more character; `/` begins a name. */
  advance(places: ReadonlySet<string>, char: string): ReadonlySet<string>
  accepts(places: ReadonlySet<string>): boolean
  /** At the end of a name: whether something strictly below could match. */
  reaches(places: ReadonlySet<string>): boolean
}

const BETWEEN = -1
const IN_GLOBSTAR = -2

export function pathSet(patterns: readonly string[], relaxed: boolean): PathSet {
  const alternatives = patterns.flatMap((text) => parsePathGlob(text).alternatives)
  const steps = alternatives.map((alternative) => alternative.segments.map((segment) => stepsOf(segment, relaxed)))
  const segmentsOf = (place: Place): Alternative['segments'] => alternatives[place.alternative]?.segments ?? []

  function add(into: Set<string>, place: Place): void {
    const key = keyOf(place)
    if (into.has(key)) return
    into.add(key)
    const { alternative, segment, step } = place
    if (step === BETWEEN && segmentsOf(place)[segment]?.kind === 'globstar') add(into, { alternative, segment: segment + 1, step: BETWEEN })
    else if (step === IN_GLOBSTAR) add(into, { alternative, segment, step: BETWEEN })
    else if (step >= 0) {
      const own = steps[alternative]?.[segment] ?? []
      if (step === own.length) add(into, { alternative, segment: segment + 1, step: BETWEEN })
      else if (own[step]?.kind === 'star') add(into, { alternative, segment, step: step + 1 })
    }
  }

  function advance(places: ReadonlySet<string>, char: string): ReadonlySet<string> {
    const next = new Set<string>()
    for (const key of places) {
      const place = placeOf(key)
      const { alternative, segment, step } = place
      if (char === '/') {
        const kind = step === BETWEEN ? segmentsOf(place)[segment]?.kind : undefined
        if (kind !== undefined) add(next, { alternative, segment, step: kind === 'globstar' ? IN_GLOBSTAR : 0 })
      } else if (step === IN_GLOBSTAR) add(next, place)
      else if (step >= 0) {
        const own = steps[alternative]?.[segment] ?? []
        const current = own[step]
        // What is folded away or merged may stand for any part of the name.
        if (relaxed && char > '\u007f')
          for (let later = step; later <= own.length; later++) add(next, { alternative, segment, step: later })
        else if (current?.kind === 'star') add(next, place)
        else if (current !== undefined && stepMatches(current, char, relaxed)) add(next, { alternative, segment, step: step + 1 })
      }
    }
    return next
  }

  const start = new Set<string>()
  for (const alternative of alternatives.keys()) add(start, { alternative, segment: 0, step: BETWEEN })
  const between = (places: ReadonlySet<string>, test: (segment: number, length: number) => boolean): boolean => {
    for (const key of places) {
      const place = placeOf(key)
      if (place.step === BETWEEN && test(place.segment, segmentsOf(place).length)) return true
    }
    return false
  }
  return {
    start,
    advance,
    accepts: (places) => between(places, (segment, length) => segment === length),
    reaches: (places) => between(places, (segment, length) => segment < length),
  }
}

function stepsOf(segment: Segment, relaxed: boolean): readonly Step[] {
  const exact = exactSteps(segment)
  const ascii = exact.every((step) => step.kind !== 'char' || step.char <= '\u007f')
  return relaxed && !ascii ? [{ kind: 'star' }] : exact
}

function exactSteps(segment: Segment): readonly Step[] {
  const chars = (text: string): Step[] => Array.from(text, (char) => ({ kind: 'char', char }))
  switch (segment.kind) {
    case 'globstar':
      return []
    case 'literal':
      return chars(segment.text)
    case 'affix':
      return [...chars(segment.prefix), { kind: 'star' }, ...chars(segment.suffix)]
    case 'glob':
      return segment.steps
  }
}

function stepMatches(step: Step, char: string, relaxed: boolean): boolean {
  switch (step.kind) {
    case 'one':
    case 'star':
      return true
    case 'char':
      return step.char === char || (relaxed && step.char.toLowerCase() === char.toLowerCase())
    case 'class': {
      if (relaxed) return true
      const point = char.codePointAt(0) ?? -1
      return step.ranges.some(([low, high]) => low <= point && point <= high) !== step.negated
    }
  }
}

function keyOf({ alternative, segment, step }: Place): string {
  return `${alternative}.${segment}.${step}`
}

function placeOf(key: string): Place {
  const [alternative = 0, segment = 0, step = 0] = key.split('.').map(Number)
  return { alternative, segment, step }
}

const FIRST_PRINTABLE = 0x20
const DELETE = 0x7f
const SLASH = 0x2f
const FIRST_SURROGATE = 0xd800
const AFTER_SURROGATES = 0xe000
const LAST_POINT = 0x10ffff

/** One character of each class the patterns tell apart, and each of `further`, `/` included; letters and digits first, so that counter-examples read well. */
export function representatives(patterns: readonly string[], further = ''): readonly string[] {
  const cuts = new Set([FIRST_PRINTABLE, DELETE, DELETE + 1, SLASH, SLASH + 1, 0x2e, 0x2f, FIRST_SURROGATE, AFTER_SURROGATES, 0x61, 0x7b])
  const point = (char: string): void => {
    for (const twin of [char, char.toLowerCase(), char.toUpperCase()]) {
      const value = twin.codePointAt(0) ?? 0
      cuts.add(value).add(value + 1)
    }
  }
  for (const char of further) point(char)
  for (const { segments } of patterns.flatMap((text) => parsePathGlob(text).alternatives)) {
    for (const step of segments.flatMap(exactSteps)) {
      if (step.kind === 'char') point(step.char)
      else if (step.kind === 'class') for (const [low, high] of step.ranges) cuts.add(low).add(high + 1)
    }
  }
  const usable = (value: number): boolean =>
    value >= FIRST_PRINTABLE && value !== DELETE && (value < FIRST_SURROGATE || value >= AFTER_SURROGATES) && value <= LAST_POINT
  const chars = [...cuts].filter(usable).map((value) => String.fromCodePoint(value))
  const readable = (char: string): number => (/[a-z]/.test(char) ? 0 : /[0-9A-Z]/.test(char) ? 1 : char === '/' ? 2 : 3)
  return chars.sort((a, b) => readable(a) - readable(b) || (a < b ? -1 : 1))
}
