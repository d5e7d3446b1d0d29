import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { literalPathPattern, matchPathGlob, PatternError, parsePathGlob } from './index.ts'
import { MAX_ALTERNATIVES, MAX_PATTERN_BYTES } from './limits.ts'

interface Row {
  readonly pattern: string
  readonly path: string
  readonly expected: string
}

/** The rows of README.md's last table of paths: what is promised there is what is tested. */
function rows(): Row[] {
  const readme = readFileSync(join(import.meta.dirname, 'README.md'), 'utf8')
  const text = (cell: string): string => cell.replaceAll('é2', 'e\u0301').replaceAll('⏎', '\n')
  return [...readme.matchAll(/^\| `(.+)` +\| `(.+)` +\| (yes|no|error) *\|$/gm)].map(([, pattern, path, expected]) => ({
    pattern: text(pattern ?? ''),
    path: text(path ?? ''),
    expected: expected ?? '',
  }))
}

describe('the table of path globs', () => {
  const table = rows()
  it('is found in README.md', () => expect(table.length).toBeGreaterThan(80))
  it.each(table)('$pattern on $path: $expected', ({ pattern, path, expected }) => {
    if (expected === 'error') expect(() => parsePathGlob(pattern)).toThrow(PatternError)
    else expect(matchPathGlob(parsePathGlob(pattern), path)).toBe(expected === 'yes')
  })
})

/** Obviously right and exponentially slow: tries every split. Knows `*`, `?`, `**` and letters. */
function naive(pattern: readonly string[], path: readonly string[]): boolean {
  const [head, ...rest] = pattern
  if (head === undefined) return path.length === 0
  if (head === '**') return naive(rest, path) || (path.length > 0 && naive(pattern, path.slice(1)))
  return path.length > 0 && naiveSegment(head, path[0] ?? '') && naive(rest, path.slice(1))
}

function naiveSegment(pattern: string, name: string): boolean {
  if (pattern === '') return name === ''
  if (pattern[0] === '*') return naiveSegment(pattern.slice(1), name) || (name !== '' && naiveSegment(pattern, name.slice(1)))
  return name !== '' && (pattern[0] === '?' || pattern[0] === name[0]) && naiveSegment(pattern.slice(1), name.slice(1))
}

const globSegment = fc.oneof(
  { weight: 1, arbitrary: fc.constant('**') },
  {
    weight: 4,
    arbitrary: fc
      .array(fc.constantFrom('a', 'b', '*', '?'), { minLength: 1, maxLength: 5 })
      .map((chars) => chars.join('').replace(/\*+/g, '*')),
  },
)
const names = fc.array(
  fc.array(fc.constantFrom('a', 'b'), { minLength: 1, maxLength: 5 }).map((chars) => chars.join('')),
  { maxLength: 5 },
)

describe('the matcher', () => {
  it('equals a naive reference on a small alphabet', () => {
    fc.assert(
      fc.property(fc.array(globSegment, { minLength: 1, maxLength: 5 }), names, (pattern, path) => {
        expect(matchPathGlob(parsePathGlob(`/${pattern.join('/')}`), `/${path.join('/')}`)).toBe(naive(pattern, path))
      }),
      { numRuns: 3000 },
    )
  })

  it('treats braces as the union of their alternatives', () => {
    fc.assert(
      fc.property(globSegment, globSegment, globSegment, names, (a, b, c, path) => {
        const text = `/${path.join('/')}`
        const union = matchPathGlob(parsePathGlob(`/${a}/${c}`), text) || matchPathGlob(parsePathGlob(`/${b}/${c}`), text)
        expect(matchPathGlob(parsePathGlob(`/{${a},${b}}/${c}`), text)).toBe(union)
      }),
    )
  })

  it('matches exactly the path a literal pattern was made from', () => {
    const segment = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
      // biome-ignore lint/suspicious/noControlCharactersInRegex: paths with these are refused elsewhere
      .map((text) => text.replace(/[/\u0000-\u001f\u007f]/g, '*'))
      .filter((text) => text !== '.' && text !== '..')
    const path = fc.array(segment, { minLength: 1, maxLength: 6 }).map((parts) => `/${parts.join('/')}`)
    fc.assert(
      fc.property(path, path, (one, other) => {
        const glob = parsePathGlob(literalPathPattern(one))
        expect(glob.alternatives.map((alternative) => alternative.literal)).toEqual([true])
        expect(matchPathGlob(glob, one)).toBe(true)
        expect(matchPathGlob(glob, other)).toBe(one === other)
      }),
    )
  })

  it('never throws anything but a PatternError, whatever the pattern', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('/', '*', '**', '?', '[', ']', '!', '^', '-', '{', ',', '}', '\\', 'a', '.', '\ud800'), { maxLength: 20 }),
        (parts) => {
          try {
            matchPathGlob(parsePathGlob(`/${parts.join('')}`), '/a/a')
          } catch (error) {
            expect(error).toBeInstanceOf(PatternError)
          }
        },
      ),
      { numRuns: 3000 },
    )
  })
})

describe('bombs', () => {
  it('answers globs built to backtrack in bounded steps', () => {
    const stars = `/${'*a'.repeat(120)}*b`
    expect(matchPathGlob(parsePathGlob(stars), `/${'a'.repeat(255)}`)).toBe(false)
    const trees = `/${'**/a/'.repeat(8)}b`
    expect(matchPathGlob(parsePathGlob(trees), `/${Array(2000).fill('a').join('/')}`)).toBe(false)
    const ones = `/${'*?'.repeat(100)}b`
    expect(matchPathGlob(parsePathGlob(ones), `/${'a'.repeat(255)}`)).toBe(false)
  })

  it('counts alternatives before it makes them', () => {
    expect(() => parsePathGlob(`/${'{a,b}'.repeat(1000)}`)).toThrow(new RegExp(`more than ${MAX_ALTERNATIVES}`))
    expect(parsePathGlob(`/${'{a,b}'.repeat(6)}`).alternatives).toHaveLength(64)
  })

  it('refuses what exceeds a limit', () => {
    expect(() => parsePathGlob(`/${'a'.repeat(MAX_PATTERN_BYTES)}`)).toThrow(/longer than/)
    expect(() => parsePathGlob(`/${'a'.repeat(256)}`)).toThrow(/longer than any name/)
    expect(() => parsePathGlob('/abc'.repeat(1025))).toThrow(/longer than any path/)
    expect(() => parsePathGlob(`${'/**'.repeat(9)}`)).toThrow(/more than 8/)
    expect(() => parsePathGlob(`/[${'ab'.repeat(65)}]`)).toThrow(/more than 128/)
    expect(() => parsePathGlob('/\ud800')).toThrow(/Unicode/)
  })
})
