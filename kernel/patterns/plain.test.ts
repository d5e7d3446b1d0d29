import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Grants } from '../capability/types.ts'
import type { Action } from '../vocabulary/index.ts'
import { plainPatterns } from './plain.ts'
import { compileRules } from './rules.ts'

const piece = fc.constantFrom(
  'a',
  'ab',
  'b',
  '.',
  '..',
  '.a',
  'a.b',
  'a..',
  '',
  '*',
  '**',
  '-',
  '_',
  '{a,b}',
  '[a]',
  '?',
  '\\',
  'ä',
  '\u0000',
  'x'.repeat(130),
)
const path = fc.array(piece, { maxLength: 4 }).map((pieces) => `/${pieces.join('/')}`)
const pathPattern = fc.oneof(
  path,
  path.map((text) => `${text}/**`),
  fc.constantFrom('a', '', '/', '/**', '//', 'a/**', '/a/***', '/a**'),
)
const name = fc.oneof(
  fc.constantFrom('search', 'search.v2', 'a*', '*', 'a', '', ' ', 'ä', '.a', 'a:b/c@d+e-f_g', '__proto__'),
  fc.string({ maxLength: 3 }),
)
const asked = fc.oneof(
  fc.tuple(fc.constantFrom<Action>('fs.read', 'fs.write', 'fs.look'), pathPattern, path),
  fc.tuple(fc.constantFrom<Action>('tools', 'infer'), name, name),
  fc.tuple(fc.constantFrom<Action>('net.dns', 'net.connect', 'net.listen'), name, name),
)

function grantsOf(action: Action, pattern: string): Grants {
  const [section = '', key] = action.split('.')
  return key === undefined ? { [section]: [pattern] } : { [section]: { [key]: [pattern] } }
}

test('what is plain compiles, and is asked as the compiled rules are', () => {
  let plain = 0
  fc.assert(
    fc.property(asked, fc.nat(3), ([action, pattern, object], before) => {
      const text = new TextEncoder().encode(pattern)
      const bytes = Uint8Array.of(...new Uint8Array(before).fill(0x2f), ...text, 0x2f, 0x61)
      const [from, to] = [before, before + text.length]
      if (!plainPatterns.isPattern(action, bytes, from, to)) return
      plain += 1
      const compiled = compileRules(grantsOf(action, pattern))
      if (!plainPatterns.decides(action)) return
      for (const each of [
        object,
        pattern,
        pattern.replace(/\/\*\*$/, ''),
        pattern.replace(/\/\*\*$/, 'b'),
        pattern.replace(/\*\*$/, 'a'),
        `${pattern}a`,
      ]) {
        const question = { action, object: each }
        expect(plainPatterns.allows(question, bytes, from, to), JSON.stringify([pattern, each])).toBe(compiled.match(question) !== null)
      }
    }),
    { numRuns: 20_000 },
  )
  expect(plain).toBeGreaterThan(1000)
})

test('no name of a host is decided by a glance', () => {
  const bytes = new TextEncoder().encode('a.example')
  for (const action of ['net.dns', 'net.connect', 'net.listen'] as const) {
    expect(plainPatterns.isPattern(action, bytes, 0, bytes.length)).toBe(false)
    expect(plainPatterns.decides(action)).toBe(false)
  }
})

test('an object that is not canonical is refused each time it is asked about, whatever was allowed before', () => {
  const bytes = new TextEncoder().encode('/work/**')
  const asked = (object: string): boolean => plainPatterns.allows({ action: 'fs.read', object }, bytes, 0, bytes.length)
  for (const object of ['/work/../etc', '/work//a', '/work/./a', '/work/a/', '/work/a\u0000'])
    expect([asked('/work/a'), asked(object), asked(object), asked('/work/a')], object).toEqual([true, false, false, true])
})
