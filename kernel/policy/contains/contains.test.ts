import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Question } from '../../vocabulary/index.ts'
import { policyFrom } from '../testing.ts'
import { containsPolicy } from './index.ts'

type Document = Record<string, unknown>

function answer(parent: Document, child: Document): string {
  const found = containsPolicy(policyFrom(parent), policyFrom(child))
  return found.contains === 'no' && found.example !== null ? `no: ${found.example.action} ${found.example.object}` : found.contains
}

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
      'no: tools t',
    ],
    [
      'other conditions',
      { tools: { allow: [{ name: 't', args: { '/p': { glob: '/a/**' } } }] } },
      { tools: { allow: [{ name: 't', args: { '/p': { glob: '/a/b' } } }] } },
      'unknown',
    ],
    ['no conditions', { tools: { allow: [{ name: 't', args: { '/n': { max: 3 } } }] } }, { tools: { allow: ['t'] } }, 'no: tools t'],
    ['models', { infer: { models: ['m*'], max_tokens: 10 } }, { infer: { models: ['m1'], max_tokens: 10 } }, 'yes'],
    ['more tokens', { infer: { models: ['m*'], max_tokens: 10 } }, { infer: { models: ['m1'] } }, 'no'],
    ['budgets', { budgets: { calls: 5 } }, { budgets: { calls: 5, bytes: 1 } }, 'yes'],
    ['no budget', { budgets: { calls: 5 } }, {}, 'no'],
    ['mounts', { mounts: { allow: ['/a'], require: ['/b'] } }, { mounts: { allow: ['/a'] } }, 'no'],
    ['env', { env: { allow: ['A'] } }, { env: { allow: [], require: ['A'] } }, 'yes'],
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
