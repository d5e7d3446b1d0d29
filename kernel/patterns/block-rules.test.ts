import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Grants } from '../capability/types.ts'
import type { Question } from '../vocabulary/index.ts'
import { blockRules } from './block-rules.ts'
import { compileRules } from './rules.ts'

/** What a short cut could get wrong: dots, empty names, slashes, wildcards, a base that is only the beginning of a name. */
const piece = fc.constantFrom(
  'a',
  'ab',
  'b',
  '.',
  '..',
  '.a',
  'a.b',
  '',
  '*',
  '**',
  '-',
  '{a,b}',
  '[a]',
  'ä',
  '\u0000',
  '\ud800',
  'x'.repeat(130),
)
const path = fc.array(piece, { maxLength: 4 }).map((pieces) => `/${pieces.join('/')}`)
const pattern = fc.oneof(
  path,
  path.map((text) => `${text}/**`),
  fc.constantFrom('a', '', '/', '/**', 'a/**'),
)
const name = fc.constantFrom('search', 'search.v2', 'a*', '*', 'a', '', ' ', 'ä', 'constructor', '__proto__')
const some = <T>(each: fc.Arbitrary<T>) => fc.option(fc.array(each, { maxLength: 10 }), { nil: undefined })
const grants = fc
  .record({
    look: some(pattern),
    read: some(pattern),
    write: some(pattern),
    tools: some(name),
    infer: some(name),
    dns: some(fc.constantFrom('a.example', '*', '')),
  })
  .map(({ look, read, write, tools, infer, dns }): Grants => {
    const fs = { ...(look && { look }), ...(read && { read }), ...(write && { write }) }
    return { fs, ...(dns && { net: { dns } }), ...(tools && { tools }), ...(infer && { infer }) }
  })
const question = fc.record({
  action: fc.constantFrom('fs.look', 'fs.read', 'fs.write', 'tools', 'infer', 'net.dns', 'net.connect'),
  object: fc.oneof(path, name),
}) as fc.Arbitrary<Question>

test('the rules of a block refuse the lists that compiled ones refuse, and allow what compiled ones allow', () => {
  fc.assert(
    fc.property(grants, fc.array(question, { minLength: 1, maxLength: 8 }), (lists, questions) => {
      const outcome = <T>(make: () => T): T | string => {
        try {
          return make()
        } catch (error) {
          return error instanceof Error ? error.message : 'threw'
        }
      }
      const quick = outcome(() => blockRules(lists))
      const full = outcome(() => compileRules(lists))
      if (typeof full === 'string' || typeof quick === 'string') return void expect(quick).toBe(full)
      for (const each of questions) expect(quick.allows(each), JSON.stringify(each)).toBe(full.match(each) !== null)
    }),
    { numRuns: 3000 },
  )
})
