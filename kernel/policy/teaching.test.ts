import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Action, Question } from '../vocabulary/index.ts'
import {
  alwaysDenied,
  diffPolicies,
  guardedFolder,
  learn,
  loadPolicy,
  type Need,
  PolicyLoadError,
  RUNGS,
  readCases,
  replay,
  runCases,
  suggestPolicy,
} from './index.ts'
import { bytesOf, policyFrom } from './testing.ts'
import { ACTIONS } from './why.ts'

const need = (action: Action, object: string, image = false): Need => ({ question: { action, object }, image, count: 1 })
const EMPTY = '{"version":"1.0"}'

describe('policy test', () => {
  const policy = policyFrom({
    fs: { read: ['/w/**', '/unused'], deny: { read: ['/w/s'] }, ask: { read: ['/w/a'] } },
    tools: { allow: [{ name: 't', args: { '/n': { max: 1 } } }] },
  })
  const cases = (document: unknown) => readCases(bytesOf(JSON.stringify(document)), 'cases.json')

  it('tells expected from decided, and which rules no case speaks of', () => {
    const report = runCases(
      policy,
      cases({
        version: '1.0',
        allow: ['fs.read /w/x', { effect: 'tools t', args: { n: 1 } }, { effect: 'fs.read /w/y', rule: '/fs/read/1' }],
        ask: ['fs.read /w/a'],
        deny: ['fs.read /w/s', { effect: 'tools t', args: { n: 2 } }, 'fs.read /w/z'],
      }),
    )
    expect(report.results.map(({ ok }) => ok)).toEqual([true, true, false, true, true, true, false])
    expect(report).toMatchObject({ failed: 2, rules: 5, uncovered: [{ origin: '/fs/read/1', text: '/unused' }] })
    expect(report.results[6]).toMatchObject({ got: 'allow', by: '/fs/read/0', line: 1 })
  })

  it.each([
    [{ version: '1.0', alow: [] }, 'unknown key `alow` (did you mean `allow`?)'],
    [{ allow: [] }, 'the key `version` is missing'],
    [{ version: '1.0', allow: ['fs.raed /x'] }, 'did you mean `fs.read`?'],
    [{ version: '1.0', allow: [1] }, 'expected an effect'],
    [{ version: '1.0', allow: [{ effect: 'fs.read /x', why: 1 }] }, 'unknown key `why`'],
    [[], 'expected an object'],
  ])('%j is refused', (document, problem) => {
    expect(() => cases(document)).toThrow(PolicyLoadError)
    expect(() => cases(document)).toThrow(problem)
  })

  it('reads TOML', () => expect(readCases(bytesOf('version = "1.0"\nallow = ["fs.read /w"]'), 'c.toml')).toHaveLength(1))
})

describe('policy diff', () => {
  const before = policyFrom({ fs: { read: ['/a/**', '/b'] }, net: { connect: ['dns:a.example:443'] }, budgets: { calls: 5 } })
  const after = policyFrom({
    fs: { read: ['/a/x/**', '/c/**', '/b'] },
    net: { connect: ['dns:a.example:443', 'dns:b.example:443'] },
    budgets: { calls: 6 },
  })

  it('names the rules that make the difference, with an effect each', () => {
    const { allows, denies, budgets } = diffPolicies(before, after)
    expect(allows.map(({ origin, example }) => [origin, example])).toEqual([
      ['/fs/read/1', 'fs.read /c'],
      ['/net/connect/1', 'net.dns b.example'],
    ])
    expect(denies.map(({ origin, example }) => [origin, example])).toEqual([['/fs/read/0', 'fs.read /a']])
    expect(budgets).toEqual([{ name: 'calls', before: 5, after: 6 }])
    expect(diffPolicies(before, before)).toEqual({ allows: [], denies: [], budgets: [] })
  })

  it('of policies with thousands of rules that all differ names each with an effect, soon', { timeout: 60_000 }, () => {
    const made = (letter: string) =>
      policyFrom({
        fs: { read: Array.from({ length: 3000 }, (_, index) => `/${letter}/${index}/**`) },
        net: { connect: Array.from({ length: 3000 }, (_, index) => `dns:${letter}${index}.example.org:443`) },
      })
    const { allows, denies } = diffPolicies(made('a'), made('b'))
    expect([allows.length, denies.length, allows.filter(({ example }) => example === null).length]).toEqual([6000, 6000, 0])
  })

  it('sees a new deny and a new ask', () => {
    const narrower = policyFrom({ fs: { read: ['/a/**'], deny: { read: ['/a/s'] }, ask: { read: ['/a/k'] } } })
    const wider = policyFrom({ fs: { read: ['/a/**'] } })
    expect(diffPolicies(wider, narrower).allows).toEqual([])
    expect(diffPolicies(wider, narrower).denies).toHaveLength(1)
    expect(diffPolicies(narrower, wider).allows).toHaveLength(1)
  })

  it('replays a recorded run', () => {
    const effect = (action: string | null, object: string, allowed: boolean, op = 'fs.open') => ({ op, action, object, allowed })
    const found = replay(after, [
      effect('fs.read', '/a/1', true),
      effect('fs.read', '/a/x/1', true),
      effect('fs.read', '/c', false),
      effect('fs.read', '/c', false),
      effect('fs.write', '/a/x -> /b', false, 'fs.rename'),
      effect(null, 'run', true),
      effect('fs.read', '(further objects, counted)', false),
    ])
    const one = (op: string, action: string, object: string, policy = after): string => {
      const { allows, denies } = replay(policy, [effect(action, object, false, op), effect(action, object, true, op)])
      return allows.length === 1 && denies.length === 0 ? 'allowed' : allows.length === 0 && denies.length === 1 ? 'denied' : 'neither'
    }
    // As it was asked for; a name that looks like two; what a writable target makes readable; an empty folder of a name that is guarded as a file's.
    expect(one('net.connect', 'net.connect', 'a.example:443')).toBe('allowed')
    expect(one('net.connect', 'net.connect', 'c.example:443')).toBe('denied')
    expect(one('fs.open', 'fs.read', '/c/x -> /b')).toBe('allowed')
    const mover = policyFrom({ fs: { read: ['/r/**'], write: ['/w/**', '/r/**'] } })
    expect(one('fs.rename', 'fs.write', '/w/a -> /w/b', mover)).toBe('allowed')
    expect(one('fs.rename', 'fs.write', '/w/a -> /r/b', mover)).toBe('denied')
    expect(one('fs.mkdir', 'fs.write', '/w/.git', mover)).toBe('allowed')
    expect(one('fs.open', 'fs.write', '/w/.git', mover)).toBe('denied')
    expect(found.allows.map(({ object }) => object)).toEqual(['/c'])
    expect(found.denies.map(({ object }) => object)).toEqual(['/a/1'])
    expect(found).toMatchObject({ same: 2, skipped: 2, asks: [] })
  })
})

describe('policy learn', () => {
  const needs = [
    need('fs.read', '/in/a.csv'),
    need('fs.read', '/in/b.csv'),
    need('fs.read', '/in/a.csv'),
    need('fs.write', '/out/r[1].txt'),
    need('fs.write', '/out/.git/hooks/pre-commit'),
    need('net.connect', 'dns:a.example.org:443'),
    need('net.connect', 'dns:b.example.org:443'),
    need('net.connect', 'ip:169.254.169.254:80'),
    need('tools', 'git.log'),
    need('fs.read', '/app/agent', true),
    need('fs.read', '/usr/lib/libc.so', true),
    need('fs.read', '/odd/file', true),
  ]

  it('proposes what was refused, grouped, and never what is always denied', () => {
    const { proposals, leftOut, text } = learn(EMPTY, 'policy.json', needs, 'literal')
    expect(proposals.map(({ permission, rule, wider }) => [permission, rule, wider])).toEqual([
      ['profiles', 'tier2-glibc', null],
      ['fs.read', '/in/a.csv', '/in/*'],
      ['fs.read', '/in/b.csv', '/in/*'],
      ['fs.write', '/out/r[[]1[]].txt', null],
      ['net.connect', 'dns:a.example.org:443', 'dns:*.example.org:443'],
      ['net.connect', 'dns:b.example.org:443', 'dns:*.example.org:443'],
      ['tools.allow', 'git.log', null],
      ['fs.read', '/odd/file', null],
    ])
    expect(leftOut.map(({ need: { question } }) => question.object)).toEqual(['/out/.git/hooks/pre-commit', 'ip:169.254.169.254:80'])
    expect(Object.keys(JSON.parse(text))).toEqual(['version', 'profiles', 'fs', 'net', 'tools'])
  })

  it('climbs where several share a place', () => {
    const rules = (rung: 'folder' | 'glob'): string[] => learn(EMPTY, 'p.json', needs.slice(0, 9), rung).proposals.map(({ rule }) => rule)
    expect(rules('folder')).toEqual(['/in/*', '/out/r[[]1[]].txt', 'dns:*.example.org:443', 'git.log'])
    expect(rules('glob')).toEqual(['/in/**', '/out/r[[]1[]].txt', 'dns:*.example.org:443', 'git.log'])
  })

  it('keeps the rest of the policy, and respects its deny and ask rules', () => {
    const base =
      '{"$schema":"x","version":"1.0","budgets":{"calls":5},"fs":{"read":["/k"],"deny":{"read":["/in/a.csv"]},"ask":{"read":["/in/b.csv"]}}}'
    const { text, proposals, leftOut } = learn(base, 'p.json', needs.slice(0, 4), 'glob')
    expect(proposals.map(({ rule }) => rule)).toEqual(['/out/r[[]1[]].txt'])
    expect(leftOut).toHaveLength(2)
    expect(JSON.parse(text)).toEqual({ ...JSON.parse(base), fs: { ...JSON.parse(base).fs, write: ['/out/r[[]1[]].txt'] } })
  })

  it('what was only looked at is not made readable where another rule lets it be looked at', () => {
    const look = (object: string): Need => ({ question: { action: 'fs.look', object }, image: false, count: 1 })
    const rules = (...given: Need[]): string[] =>
      learn(EMPTY, 'p.json', given, 'literal').proposals.map(({ permission, rule }) => `${permission} ${rule}`)
    expect(rules(look('/out/new'), need('fs.write', '/out/new'))).toEqual(['fs.write /out/new'])
    expect(rules(need('fs.write', '/out/d/new'), look('/out/d'), look('/out'), look('/'))).toEqual(['fs.write /out/d/new'])
    expect(rules(look('/in/a'), need('fs.read', '/in/a'))).toEqual(['fs.read /in/a'])
    expect(rules(look('/out'), look('/out/new'))).toEqual(['fs.look /out/new'])
    // A read is a read, and neither a neighbour nor what no rule may lift stands in for a look.
    expect(rules(need('fs.read', '/out/new'), need('fs.write', '/out/new'))).toEqual(['fs.read /out/new', 'fs.write /out/new'])
    expect(rules(look('/out/new'), need('fs.write', '/out/newer'))).toEqual(['fs.look /out/new', 'fs.write /out/newer'])
    expect(rules(look('/r/.git/config'), need('fs.write', '/r/.git/config'))).toEqual(['fs.look /r/.git/config'])
  })

  it('a rule for looking gives way to the same rule for reading or changing', () => {
    const base = '{"version":"1.0","fs":{"look":["/in/a","/in/b"]}}'
    const taught = (given: Need[]): unknown => JSON.parse(learn(base, 'p.json', given, 'literal').text)
    expect(taught([need('fs.read', '/in/a')])).toEqual({ version: '1.0', fs: { look: ['/in/b'], read: ['/in/a'] } })
    expect(taught([need('fs.read', '/in/a'), need('fs.write', '/in/b')])).toEqual({
      version: '1.0',
      fs: { read: ['/in/a'], write: ['/in/b'] },
    })
  })

  const questions: fc.Arbitrary<Question> = fc.oneof(
    fc
      .tuple(
        fc.constantFrom<Action>('fs.look', 'fs.read', 'fs.write'),
        fc.array(fc.constantFrom('a', 'b', '.git', 'hooks', '*', '[x]', 'é', 'w\u043erk', 'a\u200bb', 'config'), { maxLength: 4 }),
      )
      .map(([action, parts]): Question => ({ action, object: `/${parts.join('/')}` })),
    fc
      .constantFrom('a.example.org', 'b.example.org', 'localhost', 'x.co.uk', 'com')
      .map((object): Question => ({ action: 'net.dns', object })),
    fc
      .tuple(
        fc.constantFrom(
          'dns:a.example.org',
          'dns:b.example.org',
          'dns:x.co.uk',
          'ip:10.0.0.1',
          'ip:127.0.0.1',
          'ip:169.254.169.254',
          'ip:[fd00::1]',
        ),
        fc.integer({ min: 1, max: 65535 }),
      )
      .map(([host, port]): Question => ({ action: 'net.connect', object: `${host}:${port}` })),
    fc
      .constantFrom('ip:0.0.0.0:80', 'ip:127.0.0.1:80', 'ip:[::1]:80', 'ip:224.0.0.1:80', 'dns:a.example.org:80')
      .map((object): Question => ({ action: 'net.listen', object })),
    fc.constantFrom('git.log', 'git.push', 'a b', 'x').map((object): Question => ({ action: 'tools', object })),
    fc.constantFrom('m', 'org/m', '').map((object): Question => ({ action: 'infer', object })),
  )

  /** Asked for, or a part of something that was: the name of a connection, looking at a path and at the folders on the way there. */
  const isImplied = (other: Question, asked: readonly Question[]): boolean =>
    asked.some(
      ({ action, object }) =>
        (action === other.action && object === other.object) ||
        (action === 'net.connect' && other.action === 'net.dns' && object.startsWith(`dns:${other.object}:`)) ||
        (other.action === 'fs.look' &&
          action.startsWith('fs.') &&
          `${object}/`.startsWith(other.object === '/' ? '/' : `${other.object}/`)),
    )

  it('what `suggest` makes of refusals loads, allows each but what is always denied, and nothing else', () => {
    const kinds = new Set<string>()
    fc.assert(
      fc.property(fc.array(questions, { maxLength: 12 }), questions, (asked, other) => {
        const none = policyFrom({})
        const fixes = asked.flatMap((question) => none.decide(question).fix ?? [])
        const { policy: text, leftOut, unreadable } = suggestPolicy(fixes)
        const policy = loadPolicy(bytesOf(text), 'p.json')
        expect(unreadable).toBe(0)
        for (const question of asked) {
          const { fix } = none.decide(question)
          const guarded = question.action === 'fs.write' && (alwaysDenied(question.object) ?? guardedFolder(question.object)) !== null
          expect([question, policy.decide(question).allow]).toEqual([question, fix !== null && !guarded])
          if (fix !== null) kinds.add(question.action)
          if (fix !== null && guarded) expect(leftOut.length).toBeGreaterThan(0)
        }
        if (!isImplied(other, asked)) expect([other, policy.decide(other).allow]).toEqual([other, false])
      }),
      { numRuns: 400 },
    )
    expect([...kinds].sort()).toEqual([...ACTIONS].sort())
  })

  it('what it writes always loads and allows every need that is not left out; the lowest rung allows nothing else', () => {
    fc.assert(
      fc.property(fc.array(questions, { maxLength: 12 }), fc.constantFrom(...RUNGS), questions, (asked, rung, other) => {
        const lesson = learn(
          EMPTY,
          'p.json',
          asked.map((question) => ({ question, image: false, count: 1 })),
          rung,
        )
        const policy = loadPolicy(bytesOf(lesson.text), 'p.json')
        const out = new Set(lesson.leftOut.map(({ need: { question } }) => `${question.action} ${question.object}`))
        for (const question of asked) expect(policy.decide(question).allow).toBe(!out.has(`${question.action} ${question.object}`))
        if (rung === 'literal' && !isImplied(other, asked)) expect(policy.decide(other).allow).toBe(false)
      }),
      { numRuns: 400 },
    )
  })
})
