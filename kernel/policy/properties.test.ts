import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Action, Question } from '../vocabulary/index.ts'
import { loadPolicy, mergeFixes } from './index.ts'
import { bytesOf, policyFrom } from './testing.ts'

const globs = fc
  .array(fc.constantFrom('a', 'b', '*', '**', 'a*', '?b', '{a,b}', '.git'), { minLength: 1, maxLength: 4 })
  .map((parts) => `/a/${parts.join('/')}`)
const hosts = fc.constantFrom('a.test', 'b.test', 'x.a.test', '*.a.test', '*.b.test')
const ports = fc.constantFrom('80', '443', '*', '80-90')
const connects = fc.oneof(
  fc.tuple(hosts, ports).map(([host, port]) => `dns:${host}:${port}`),
  fc
    .tuple(fc.constantFrom('10.0.0.0/8', '10.1.0.0/16', '10.1.1.1', '8.8.8.8', '[fd00::/8]'), ports)
    .map(([range, port]) => `ip:${range}:${port}`),
)
const toolNames = fc.constantFrom('t', 'tt', 't*', 'u', '*')

interface Lists {
  readonly fs: {
    readonly look: string[]
    readonly read: string[]
    readonly write: string[]
    readonly deny: { readonly look: string[]; readonly read: string[]; readonly write: string[] }
  }
  readonly net: {
    readonly dns: string[]
    readonly connect: string[]
    readonly deny: { readonly dns: string[]; readonly connect: string[] }
  }
  readonly tools: { readonly allow: string[]; readonly deny: string[] }
  readonly infer: { readonly models: string[] }
}

const few = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(of, { maxLength: 4 })
const denyConnects = fc.tuple(hosts, ports).map(([host, port]) => `dns:${host}:${port}`)
const lists: fc.Arbitrary<Lists> = fc.record({
  fs: fc.record({
    look: few(globs),
    read: few(globs),
    write: few(globs),
    deny: fc.record({ look: few(globs), read: few(globs), write: few(globs) }),
  }),
  net: fc.record({ dns: few(hosts), connect: few(connects), deny: fc.record({ dns: few(hosts), connect: few(denyConnects) }) }),
  tools: fc.record({ allow: few(toolNames), deny: few(toolNames) }),
  infer: fc.record({ models: few(toolNames) }),
})

const paths = fc
  .array(fc.constantFrom('a', 'b', 'ab', '.git', 'hooks', '*', '[x]', 'é', 'w\u043erk', 'a\u200bb', '\u043e*\u034fk'), { maxLength: 5 })
  .map((parts) => `/${parts.join('/')}`)
const question = (action: Action, object: fc.Arbitrary<string>): fc.Arbitrary<Question> => object.map((text) => ({ action, object: text }))
const questions: fc.Arbitrary<Question> = fc.oneof(
  question('fs.read', paths),
  question('fs.write', paths),
  question('fs.look', paths),
  question('net.dns', fc.constantFrom('a.test', 'b.test', 'x.a.test', 'y.b.test', 'localhost')),
  question(
    'net.connect',
    fc
      .tuple(fc.constantFrom('a.test', 'x.a.test', 'c.test'), fc.integer({ min: 1, max: 500 }))
      .map(([host, port]) => `dns:${host}:${port}`),
  ),
  question(
    'net.connect',
    fc
      .tuple(
        fc.oneof(
          fc.ipV4(),
          fc.ipV6().map((text) => `[${text}]`),
          fc.constantFrom('10.1.1.1', '127.0.0.1', '169.254.169.254'),
        ),
        fc.constantFrom(80, 443),
      )
      .map(([host, port]) => `ip:${host}:${port}`),
  ),
  question('net.listen', fc.constantFrom('ip:0.0.0.0:80', 'ip:127.0.0.1:80', 'ip:224.0.0.1:80')),
  question('tools', fc.constantFrom('t', 'tt', 'u', 'v', 'a b')),
  question('infer', fc.constantFrom('t', 'org/model', '')),
)

const policyOf = (document: Lists) => policyFrom({ ...document })

describe('theorems', () => {
  it('order and repetition of rules never matter to the verdict', () => {
    const reversed = (document: Lists): Lists =>
      JSON.parse(JSON.stringify(document), (_, value) => (Array.isArray(value) ? [...value, ...value].reverse() : value))
    fc.assert(
      fc.property(lists, questions, (document, asked) => {
        expect(policyOf(reversed(document)).decide(asked).allow).toBe(policyOf(document).decide(asked).allow)
      }),
      { numRuns: 500 },
    )
  })

  it('adding an allow rule never denies what was allowed', () => {
    fc.assert(
      fc.property(lists, lists, questions, (document, more, asked) => {
        const wider: Lists = {
          ...document,
          fs: {
            ...document.fs,
            look: [...document.fs.look, ...more.fs.look],
            read: [...document.fs.read, ...more.fs.read],
            write: [...document.fs.write, ...more.fs.write],
          },
          net: { ...document.net, dns: [...document.net.dns, ...more.net.dns], connect: [...document.net.connect, ...more.net.connect] },
          tools: { ...document.tools, allow: [...document.tools.allow, ...more.tools.allow] },
          infer: { models: [...document.infer.models, ...more.infer.models] },
        }
        if (policyOf(document).decide(asked).allow) expect(policyOf(wider).decide(asked).allow).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  it('adding a deny rule never allows what was denied', () => {
    fc.assert(
      fc.property(lists, lists, questions, (document, more, asked) => {
        const narrower: Lists = {
          ...document,
          fs: {
            ...document.fs,
            deny: {
              look: [...document.fs.deny.look, ...more.fs.deny.look],
              read: [...document.fs.deny.read, ...more.fs.deny.read],
              write: [...document.fs.deny.write, ...more.fs.deny.write],
            },
          },
          net: {
            ...document.net,
            deny: {
              dns: [...document.net.deny.dns, ...more.net.deny.dns],
              connect: [...document.net.deny.connect, ...more.net.deny.connect],
            },
          },
          tools: { ...document.tools, deny: [...document.tools.deny, ...more.tools.deny] },
        }
        if (!policyOf(document).decide(asked).allow) expect(policyOf(narrower).decide(asked).allow).toBe(false)
      }),
      { numRuns: 500 },
    )
  })

  it('adding an ask rule never allows what was denied, and turns what it covers into a question', () => {
    fc.assert(
      fc.property(lists, lists, questions, (document, more, asked) => {
        const before = policyOf(document).decide(asked)
        const asking = policyFrom({
          ...document,
          fs: { ...document.fs, ask: { look: more.fs.look, read: more.fs.read, write: more.fs.write } },
          net: { ...document.net, ask: { connect: more.net.connect } },
          tools: { ...document.tools, ask: more.tools.allow },
          infer: { ...document.infer, ask: more.infer.models },
        }).decide(asked)
        const harmless = (asked.action === 'fs.look' && before.ask !== true) || asked.action === 'net.dns'
        if (asking.allow && !harmless) expect(before.allow).toBe(true)
        if (asking.ask === true) expect(asking.allow).toBe(false)
      }),
      { numRuns: 500 },
    )
  })

  it('an error while deciding never allows', () => {
    const policy = policyFrom({ fs: { read: ['/**'] }, tools: { allow: ['*'] } })
    const trap = (): never => {
      throw new Error('trap')
    }
    for (const key of ['action', 'object', 'args'] as const) {
      const asked = Object.defineProperty({ action: 'tools', object: 't', args: {} }, key, { get: trap }) as unknown as Question
      const verdict = policy.decide(asked)
      expect([verdict.allow, verdict.ask]).toEqual([false, undefined])
    }
  })

  it('what a rule allows is within the grants, and an allowed effect is never in a deny list', () => {
    fc.assert(
      fc.property(lists, questions, (document, asked) => {
        const policy = policyOf(document)
        if (!policy.decide(asked).allow) return
        const allowedOnly = policyFrom({
          ...document,
          fs: { look: document.fs.look, read: document.fs.read, write: document.fs.write },
          net: { dns: document.net.dns, connect: document.net.connect },
          tools: { allow: document.tools.allow },
        })
        expect(allowedOnly.decide(asked).allow).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})

describe('a fix', () => {
  it('loads, allows what was asked, and nothing else', () => {
    fc.assert(
      fc.property(lists, questions, questions, (document, asked, other) => {
        const verdict = policyOf(document).decide(asked)
        if (verdict.allow) expect(verdict.fix).toBeNull()
        if (verdict.allow || verdict.fix === null) return
        const fixed = loadPolicy(bytesOf(verdict.fix), 'fix')
        expect(fixed.decide(asked).allow).toBe(true)
        // Reading implies looking, a directory on the way may be looked at, and connecting to a name implies resolving it.
        const implied = other.action === 'fs.look' || (asked.action === 'net.connect' && other.action === 'net.dns')
        if (!implied && (other.action !== asked.action || other.object !== asked.object) && !sameAddress(asked, other))
          expect(fixed.decide(other).allow).toBe(false)
      }),
      { numRuns: 2000 },
    )
  })

  it('is there for every canonical question that some rule could allow', () => {
    fc.assert(
      fc.property(paths, fc.constantFrom('fs.look', 'fs.read', 'fs.write'), (object, action) => {
        const verdict = policyFrom({}).decide({ action, object })
        expect(verdict.fix).not.toBeNull()
      }),
    )
  })

  it('merged with others, in any order, still allows each', () => {
    fc.assert(
      fc.property(fc.array(questions, { maxLength: 10 }), (all) => {
        const none = policyFrom({})
        const denied = all
          .map((asked) => ({ asked, verdict: none.decide(asked) }))
          .filter(({ verdict }) => verdict.fix !== null && !verdict.rule?.startsWith('always-deny'))
        const fixes = denied.map(({ verdict }) => verdict.fix ?? '')
        const merged = mergeFixes(fixes)
        expect(mergeFixes([...fixes].reverse())).toBe(merged)
        const policy = loadPolicy(bytesOf(merged), 'merged')
        for (const { asked } of denied) expect(policy.decide(asked).allow).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})

/** `::ffff:10.0.0.1` and `10.0.0.1` are one address. */
function sameAddress(one: Question, other: Question): boolean {
  return one.object.includes('::ffff:') || other.object.includes('::ffff:')
}
