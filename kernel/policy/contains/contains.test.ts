import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Question } from '../../vocabulary/index.ts'
import { policyFrom } from '../testing.ts'
import { containsPolicy } from './index.ts'

type Document = Record<string, unknown>

function answer(parent: Document, child: Document): string {
  const found = containsPolicy(policyFrom(parent), policyFrom(child))
  if (found.contains !== 'no' || found.example === null) return found.contains
  const { action, object, args } = found.example
  return `no: ${action} ${object}${args === undefined ? '' : ` ${JSON.stringify(args)}`}`
}

/** Conditions on the argument `/p` of a tool. */
const one = (condition: object): Document => ({ tools: { allow: [{ name: 't', args: { '/p': condition } }] } })
const any = (conditions: object[]): Document => ({
  tools: { allow: conditions.map((condition) => ({ name: 't', args: { '/p': condition } })) },
})
const glob = (...globs: string[]): Document => any(globs.map((text) => ({ glob: text })))
const ranges = (...pairs: [number, number][]): Document => any(pairs.map(([min, max]) => ({ min, max })))

const read = (...read: string[]): Document => ({ fs: { read } })

describe('contains', () => {
  it.each<[string, Document, Document, string]>([
    ['nothing', {}, {}, 'yes'],
    ['itself', read('/a/**'), read('/a/**'), 'yes'],
    ['literal in tree', read('/a/**'), read('/a/b/c'), 'yes'],
    ['tree in literal', read('/a'), read('/a/**'), 'no: fs.read /a/a'],
    ['glob in tree', read('/a/**'), read('/a/*/x[0-9].{md,txt}'), 'yes'],
    ['two halves', read('/a/[a-m]*', '/a/[!a-m]*'), read('/a/*'), 'yes'],
    ['one half', read('/a/[a-m]*'), read('/a/*'), 'no: fs.read /a/n'],
    ['braces', read('/a/{x,y}/**'), read('/a/x/1', '/a/y'), 'yes'],
    ['suffix', read('/a/*.md'), read('/a/x*.md'), 'yes'],
    ['suffix twice', read('/a/*.md'), read('/a/*.md*'), 'no: fs.read /a/.mda'],
    ['deeper globstar', read('/**/c'), read('/a/**/b/c'), 'yes'],
    ['case', read('/a'), read('/A'), 'no: fs.read /A'],
    ['a profile', { profiles: ['python'] }, { profiles: ['tier1-musl'] }, 'yes'],
    ['not a profile', { profiles: ['tier1-musl'] }, { profiles: ['tier2-glibc'] }, 'no: fs.read /lib'],
    ['writing is not reading', read('/a'), { fs: { write: ['/a'] } }, 'no: fs.write /a'],
    [
      'the same deny',
      { fs: { read: ['/a/**'], deny: { read: ['/a/s*'] } } },
      { fs: { read: ['/a/**'], deny: { read: ['/a/s*'] } } },
      'yes',
    ],
    ['a deny the child lacks', { fs: { read: ['/a/**'], deny: { read: ['/a/s'] } } }, read('/a/**'), 'no: fs.read /a/s'],
    ['beside the deny', { fs: { read: ['/a/**'], deny: { read: ['/a/s/**'] } } }, read('/a/t/**'), 'yes'],
    ['a twin of the deny', { fs: { read: ['/a/**'], deny: { read: ['/a/s'] } } }, read('/a/S'), 'no: fs.read /a/S'],
    ['the child’s own deny', read('/a/[!s]*'), { fs: { read: ['/a/*'], deny: { read: ['/a/s*'] } } }, 'yes'],
    ['looking', { fs: { look: ['/a/**'] } }, { fs: { look: ['/a/b'] } }, 'yes'],
    ['looking at more', { fs: { look: ['/a/b'] } }, { fs: { look: ['/a/**'] } }, 'no: fs.look /a/a'],
    ['reading implies looking', read('/a/**'), { fs: { look: ['/a/*'] } }, 'yes'],
    ['looking does not imply reading', { fs: { look: ['/a/**'] } }, read('/a/b'), 'no: fs.read /a/b'],
    ['the way to something', read('/a/b/c'), { fs: { look: ['/a', '/a/b', '/'] } }, 'yes'],
    ['beside the way', read('/a/b/c'), { fs: { look: ['/a/c'] } }, 'no: fs.look /a/c'],
    ['a look the parent denies', { fs: { look: ['/a/**'], deny: { look: ['/a/s'] } } }, { fs: { look: ['/a/**'] } }, 'no: fs.look /a/s'],
    [
      'hidden by both other denials',
      { fs: { look: ['/a/**'], deny: { read: ['/a/s'], write: ['/a/s'] } } },
      { fs: { look: ['/a/s'] } },
      'no: fs.look /a/s',
    ],
    ['the same hiding', { fs: { look: ['/a/**'], deny: { look: ['/a/s'] } } }, { fs: { look: ['/a/*'], deny: { look: ['/a/s'] } } }, 'yes'],
    ['asking before a look', { fs: { look: ['/a/**'] } }, { fs: { ask: { look: ['/a/b'] } } }, 'yes'],
    ['looking inside asking', { fs: { ask: { look: ['/a/**'] } } }, { fs: { look: ['/a/b'] } }, 'no: fs.look /a'],
    ['asking inside allowing', read('/a/**'), { fs: { ask: { read: ['/a/b'] } } }, 'yes'],
    ['allowing inside asking', { fs: { ask: { read: ['/a/**'] } } }, read('/a/b'), 'no: fs.read /a/b'],
    ['a lifted always-deny', { fs: { write: ['/a/**'] } }, { fs: { write: ['/a/.git/config'] } }, 'no: fs.write /a/.git/config'],
    ['always-deny alike', { fs: { write: ['/a/**'] } }, { fs: { write: ['/a/x/**'] } }, 'yes'],
    ['a host below', { net: { connect: ['dns:*.a.example:443'] } }, { net: { connect: ['dns:x.a.example:443'] } }, 'yes'],
    [
      'the host itself',
      { net: { connect: ['dns:*.a.example:443'] } },
      { net: { connect: ['dns:a.example:443'] } },
      'no: net.dns a.example',
    ],
    [
      'ports',
      { net: { connect: ['dns:a.example:80-90'] } },
      { net: { connect: ['dns:a.example:85-91'] } },
      'no: net.connect dns:a.example:91',
    ],
    ['resolving', { net: { connect: ['dns:a.example:80'] } }, { net: { dns: ['a.example'] } }, 'yes'],
    ['a range', { net: { connect: ['ip:10.0.0.0/9:80', 'ip:10.128.0.0/9:80'] } }, { net: { connect: ['ip:10.0.0.0/8:80'] } }, 'yes'],
    [
      'half a range',
      { net: { connect: ['ip:10.0.0.0/9:*'] } },
      { net: { connect: ['ip:10.0.0.0/8:80'] } },
      'no: net.connect ip:10.128.0.0:80',
    ],
    [
      'another mapping',
      { net: { connect: ['dns:a.example:80'] } },
      { net: { connect: ['dns:a.example:80'], hosts: { 'a.example': '10.0.0.1' } } },
      'no: net.connect ip:10.0.0.1:80',
    ],
    ['listening', { net: { listen: ['ip:0.0.0.0:80'] } }, { net: { listen: ['ip:0.0.0.0:81'] } }, 'no: net.listen ip:0.0.0.0:81'],
    ['tools', { tools: { allow: ['git.*'], deny: ['git.push'] } }, { tools: { allow: ['git.*'] } }, 'no: tools git.push'],
    ['conditions', { tools: { allow: ['t'] } }, { tools: { allow: [{ name: 't', args: { '/n': { max: 3 } } }] } }, 'yes'],
    [
      'narrower conditions',
      { tools: { allow: [{ name: 't', args: { '/n': { max: 3 } } }] } },
      { tools: { allow: [{ name: 't', args: { '/n': { max: 2 } } }] } },
      'yes',
    ],
    [
      'wider conditions',
      { tools: { allow: [{ name: 't', args: { '/n': { max: 3 } } }] } },
      { tools: { allow: [{ name: 't', args: { '/n': { max: 4 } } }] } },
      'no: tools t {"n":4}',
    ],
    [
      'other conditions',
      { tools: { allow: [{ name: 't', args: { '/p': { glob: '/a/**' } } }] } },
      { tools: { allow: [{ name: 't', args: { '/p': { glob: '/a/b' } } }] } },
      'yes',
    ],
    ['globs on arguments', glob('/a/*.md', '/a/*.txt'), glob('/a/x.{md,txt}'), 'yes'],
    ['a wider glob', glob('/a/*.md'), glob('/a/*'), 'no: tools t {"p":"/a/a"}'],
    ['halves of a glob', glob('/a/[a-m]*', '/a/[!a-m]*'), glob('/a/*'), 'yes'],
    ['a prefix is not a path', glob('/a/**'), one({ prefix: '/a/' }), 'no: tools t {"p":"/a/"}'],
    ['a glob within a prefix', one({ prefix: '/a/' }), glob('/a/*'), 'yes'],
    ['a glob and the folder above its prefix', one({ prefix: '/a/' }), glob('/a/**'), 'no: tools t {"p":"/a"}'],
    ['named texts in a glob', glob('/a/*'), one({ in: ['/a/x', '/a/y'] }), 'yes'],
    ['one text outside a glob', glob('/a/*'), one({ in: ['/a/x', '/b'] }), 'no: tools t {"p":"/b"}'],
    ['lengths', one({ prefix: 'ab', max_length: 4 }), one({ prefix: 'abc', max_length: 4 }), 'yes'],
    ['too long', one({ prefix: 'ab', max_length: 4 }), one({ prefix: 'abc', max_length: 5 }), 'no: tools t {"p":"abcaa"}'],
    ['a list of that length', one({ max_length: 2 }), one({ max_length: 3 }), 'no: tools t {"p":[0,0,0]}'],
    ['ranges that meet', ranges([0, 5], [5, 9]), ranges([0, 9]), 'yes'],
    ['ranges that do not', ranges([0, 4], [5, 9]), ranges([0, 9]), 'no: tools t {"p":4.5}'],
    [
      'present or absent',
      {
        tools: {
          allow: [
            { name: 't', args: { '/p': { absent: true } } },
            { name: 't', args: { '/p': { max_length: 9 } } },
          ],
        },
      },
      glob('/a', '/b'),
      'yes',
    ],
    [
      'a deny of the parent',
      { tools: { allow: ['t'], deny: [{ name: 't', args: { '/p': { glob: '/s/**' } } }] } },
      glob('/[r-t]/x'),
      'no: tools t {"p":"/s/x"}',
    ],
    ['beside a deny', { tools: { allow: ['t'], deny: [{ name: 't', args: { '/p': { glob: '/s/**' } } }] } }, glob('/[a-r]/x'), 'yes'],
    [
      'below each other',
      { tools: { allow: [{ name: 't', args: { '/a/b': { max: 3 } } }] } },
      { tools: { allow: [{ name: 't', args: { '/a/b': { min: 1, max: 2 }, '/c': { absent: true } } }] } },
      'yes',
    ],
    [
      'a parent of the place',
      { tools: { allow: [{ name: 't', args: { '/a': { equals: 'x' } } }] } },
      { tools: { allow: [{ name: 't', args: { '/a/b': { absent: true } } }] } },
      'no: tools t {}',
    ],
    ['no conditions', { tools: { allow: [{ name: 't', args: { '/n': { max: 3 } } }] } }, { tools: { allow: ['t'] } }, 'no: tools t'],
    ['models', { infer: { models: ['m*'], max_tokens: 10 } }, { infer: { models: ['m1'], max_tokens: 10 } }, 'yes'],
    ['more tokens', { infer: { models: ['m*'], max_tokens: 10 } }, { infer: { models: ['m1'] } }, 'no'],
    ['budgets', { budgets: { calls: 5 } }, { budgets: { calls: 5, bytes: 1 } }, 'yes'],
    ['no budget', { budgets: { calls: 5 } }, {}, 'no'],
    ['a class under the whole', { budgets: { net: { calls: 5 } } }, { budgets: { calls: 5 } }, 'yes'],
    ['the whole under one class', { budgets: { calls: 5 } }, { budgets: { net: { calls: 5 } } }, 'no'],
    ['a class with more', { budgets: { net: { calls: 5 } } }, { budgets: { net: { calls: 6 } } }, 'no'],
    ['a direction under the total', { budgets: { bytes_out: 5 } }, { budgets: { bytes: 5 } }, 'yes'],
    ['the total under one direction', { budgets: { bytes: 5 } }, { budgets: { bytes_out: 5 } }, 'no'],
    ['the total under all directions', { budgets: { tokens: 5 } }, { budgets: { tokens_in: 2, tokens_out: 3 } }, 'yes'],
    ['mounts', { mounts: { allow: ['/a'], require: ['/b'] } }, { mounts: { allow: ['/a'] } }, 'no'],
    ['env', { env: { allow: ['A'] } }, { env: { allow: [], require: ['A'] } }, 'yes'],
    ['a prefix of names', { env: { allow: ['LC_*'] } }, { env: { allow: ['LC_ALL', 'LC_T*'] } }, 'yes'],
    ['a wider prefix', { env: { allow: ['LC_*'] } }, { env: { allow: ['LC*'] } }, 'no'],
    ['any name', { env: { allow: ['LC_*'] } }, {}, 'no'],
    ['less required', { env: { require: ['A'] } }, { env: { allow: ['A'] } }, 'no'],
    ['a mount either way, read-only', { mounts: { allow: ['/a'] } }, { mounts: { allow: ['/a:ro'] } }, 'yes'],
    ['a read-only mount either way', { mounts: { allow: ['/a:ro'] } }, { mounts: { allow: ['/a'] } }, 'no'],
    ['required one way', { mounts: { require: ['/a'] } }, { mounts: { require: ['/a:ro'] } }, 'yes'],
    ['required the other way', { mounts: { require: ['/a:rw'] } }, { mounts: { require: ['/a:ro'] } }, 'no'],
    ['required, but for either', { mounts: { require: ['/a:rw'] } }, { mounts: { require: ['/a'] } }, 'no'],
    ['what no run satisfies', { mounts: { allow: [] } }, { mounts: { require: ['/a:ro', '/a:rw'] } }, 'yes'],
  ])('%s', (_, parent, child, expected) => expect(answer(parent, child)).toBe(expected))

  it('gives up on what is too tangled, within its limits', () => {
    const tangle = Array.from({ length: 8 }, (_, index) => `/a/*${'?'.repeat(12 + index)}x*`)
    expect(answer({ fs: { read: tangle.map((text) => `${text}y`) } }, { fs: { read: tangle } })).not.toBe('yes')
  })
})

const globs = fc
  .array(fc.constantFrom('a', 'b', '*', '**', 'a*', '?', '{a,b}', '[!a]', '[ab]*', 'A'), { minLength: 1, maxLength: 3 })
  .map((parts) => `/r/${parts.join('/')}`)
const hosts = fc.constantFrom('a.test', 'x.a.test', '*.a.test', '*.x.a.test', 'b.test')
const ports = fc.constantFrom('80', '*', '80-90', '85-100')
const connects = fc.oneof(
  fc.tuple(hosts, ports).map(([host, port]) => `dns:${host}:${port}`),
  fc.tuple(fc.constantFrom('10.0.0.0/8', '10.1.0.0/16', '10.1.1.1', '8.8.0.0/16'), ports).map(([range, port]) => `ip:${range}:${port}`),
)
const few = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(of, { maxLength: 3 })
const documents = fc.record({
  fs: fc.record({
    look: fc.array(globs, { maxLength: 1 }),
    read: few(globs),
    deny: fc.record({ look: fc.array(globs, { maxLength: 1, size: 'xsmall' }), read: fc.array(globs, { maxLength: 1 }) }),
    ask: fc.record({ look: fc.array(globs, { maxLength: 1, size: 'xsmall' }), read: fc.array(globs, { maxLength: 1 }) }),
  }),
  net: fc.record({ dns: few(hosts), connect: few(connects), deny: fc.record({ dns: fc.array(hosts, { maxLength: 1 }) }) }),
  tools: fc.record({ allow: few(fc.constantFrom('t', 'tt', 't*', '*')), deny: fc.array(fc.constantFrom('t', 'tt*'), { maxLength: 1 }) }),
})
const questions: fc.Arbitrary<Question> = fc.oneof(
  fc
    .tuple(fc.constantFrom('fs.read', 'fs.look'), fc.array(fc.constantFrom('a', 'b', 'ab', 'A', 'c', 'aé', 'á'), { maxLength: 3 }))
    .map(([action, parts]): Question => ({ action, object: ['/r', ...parts].join('/') })),
  fc.constantFrom('a.test', 'x.a.test', 'y.x.a.test', 'y.a.test', 'b.test').map((object): Question => ({ action: 'net.dns', object })),
  fc
    .tuple(
      fc.constantFrom('dns:a.test', 'dns:y.a.test', 'ip:10.1.1.1', 'ip:10.1.9.9', 'ip:10.9.9.9', 'ip:8.8.8.8'),
      fc.constantFrom(1, 80, 84, 86, 95, 500),
    )
    .map(([host, port]): Question => ({ action: 'net.connect', object: `${host}:${port}` })),
  fc.constantFrom('t', 'tt', 'ttt', 'u').map((object): Question => ({ action: 'tools', object })),
)

describe('soundness', () => {
  it('never a false yes, never a counter-example that is none', () => {
    const answers = { yes: 0, no: 0, unknown: 0 }
    fc.assert(
      fc.property(documents, documents, fc.array(questions, { minLength: 20, maxLength: 20 }), (one, two, asked) => {
        // Half of the children are made of the parent's own rules, so that `yes` happens.
        const parent = policyFrom(one)
        const child = policyFrom(
          asked.length % 2 === 0 && two.net.dns.length === 0
            ? { ...one, fs: { ...one.fs, read: one.fs.read.slice(1) }, tools: { ...one.tools, allow: one.tools.allow.slice(1) } }
            : two,
        )
        const found = containsPolicy(parent, child)
        answers[found.contains]++
        if (found.contains === 'no' && found.example !== null) {
          const inner = child.decide(found.example)
          expect(inner.allow || inner.ask === true).toBe(true)
          expect(parent.decide(found.example).allow).toBe(false)
        }
        if (found.contains !== 'yes') return
        for (const question of asked) {
          if (child.decide(question).allow) expect(parent.decide(question).allow).toBe(true)
        }
      }),
      { numRuns: 250 },
    )
    expect(answers.yes).toBeGreaterThan(10)
    expect(answers.unknown).toBeLessThan(answers.no)
  })

  it('of itself and of less is yes', () => {
    fc.assert(
      fc.property(documents, (document) => {
        expect(containsPolicy(policyFrom(document), policyFrom(document)).contains).toBe('yes')
        expect(containsPolicy(policyFrom(document), policyFrom({})).contains).toBe('yes')
      }),
      { numRuns: 60 },
    )
  })
})

describe('conditions on arguments', () => {
  const condition = fc.oneof(
    fc.constantFrom('/a/**', '/a/*', '/*/b', '/a/b', '/[a-b]/?', '/{a,b}/**').map((glob) => ({ glob })),
    fc.constantFrom('/a', '/a/', 'a', '').map((prefix) => ({ prefix })),
    fc.constantFrom('/a/b', 'a', 3, true, null).map((equals) => ({ equals })),
    fc.array(fc.constantFrom('/a', '/a/b', 1, 4), { minLength: 1, maxLength: 3 }).map((values) => ({ in: values })),
    fc.record({ min: fc.integer({ min: 0, max: 3 }), max: fc.integer({ min: 3, max: 6 }) }),
    fc.integer({ min: 0, max: 5 }).map((max_length) => ({ max_length })),
    fc.tuple(fc.constantFrom('/a', '/'), fc.integer({ min: 1, max: 6 })).map(([prefix, max_length]) => ({ prefix, max_length })),
    fc.constant({ absent: true }),
  )
  const rule = fc.record({
    name: fc.constantFrom('t', 't*'),
    args: fc.dictionary(fc.constantFrom('/p', '/q', '/p/x'), condition, { minKeys: 1, maxKeys: 2 }),
  })
  const rules = fc.array(fc.oneof({ weight: 4, arbitrary: rule }, { weight: 1, arbitrary: fc.constant('t') }), { maxLength: 3 })
  const tools = fc.record({ allow: rules, deny: fc.array(rule, { maxLength: 1 }), ask: fc.array(rule, { maxLength: 1 }) })
  const value = fc.oneof(
    fc.array(fc.constantFrom('/', 'a', 'b', '.', 'é'), { maxLength: 6 }).map((parts) => parts.join('')),
    fc.integer({ min: -1, max: 7 }),
    fc.constantFrom(2.5, true, false, null, [], [1], [1, 2, 3, 4, 5, 6], {}, { x: '/a/b' }, { x: 3 }, { x: 'a' }),
  )
  const calls = fc.dictionary(fc.constantFrom('p', 'q'), value)

  it('a yes holds for every call, a no has a call that shows it, and it can nearly always be told', () => {
    const answers = { yes: 0, no: 0, unknown: 0 }
    fc.assert(
      fc.property(tools, tools, fc.array(calls, { minLength: 30, maxLength: 30 }), (one, two, asked) => {
        const [parent, child] = [policyFrom({ tools: one }), policyFrom({ tools: two })]
        const found = containsPolicy(parent, child)
        answers[found.contains]++
        if (found.contains === 'no' && found.example !== null) {
          const inner = child.decide(found.example)
          expect(inner.allow || inner.ask === true).toBe(true)
          expect(parent.decide(found.example).allow).toBe(false)
        }
        if (found.contains !== 'yes') return
        for (const args of asked) {
          const question: Question = { action: 'tools', object: 't', args }
          if (child.decide(question).allow) expect(parent.decide(question).allow).toBe(true)
        }
      }),
      { numRuns: 300 },
    )
    expect(answers.yes).toBeGreaterThan(30)
    expect(answers.no).toBeGreaterThan(30)
    // A list with a length condition and members of its own.
    expect(answers.unknown).toBeLessThan(30)
  })

  it('gives up on what is too tangled, within its limits', () => {
    const long = { prefix: '/', max_length: 1_000_000 }
    expect(answer(any([{ glob: '/a/**' }, long]), any([{ glob: '/**' }, { max_length: 999_999 }]))).not.toBe('yes')
  })
})
