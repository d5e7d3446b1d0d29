import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Question } from '../../vocabulary/index.ts'
import { checkExpectations } from '../expectations.ts'
import { policyFrom } from '../testing.ts'
import { containsPolicy } from './index.ts'

type Document = Record<string, unknown>

/** Every effect of a small world, one by one, against every policy that small rules make: what no rule of the answer's own could have hidden. */
describe('by brute force', () => {
  const words = ['a', 'b', 'A', '.git', 'é', 'e\u0301']
  const paths = ['/', ...words.map((one) => `/${one}`), ...words.flatMap((one) => words.map((two) => `/${one}/${two}`))]
  const names = ['test', 'a.test', 'b.test', 'x.a.test', 'y.x.a.test', 'b.a.test', 'c.example']
  const ports = [1, 79, 80, 81, 90, 91, 443, 65_535]
  const addresses = [
    '10.0.0.0',
    '10.1.0.0',
    '10.1.255.255',
    '10.2.0.0',
    '10.255.255.255',
    '11.0.0.0',
    '9.255.255.255',
    '127.0.0.1',
    '8.8.8.8',
    '[fd00::1]',
    '[fe00::1]',
  ]
  const values = [undefined, null, true, 0, 1, 2, 2.5, 3, 4, '', 'a', '/a', '/a/', '/a/b', '/b', [], [0], [0, 0, 0], {}]
  const world: Question[] = [
    ...(['fs.look', 'fs.read', 'fs.write'] as const).flatMap((action) => paths.map((object): Question => ({ action, object }))),
    ...names.map((object): Question => ({ action: 'net.dns', object })),
    ...[...names.map((name) => `dns:${name}`), ...addresses.map((address) => `ip:${address}`)].flatMap((host) =>
      ports.map((port): Question => ({ action: 'net.connect', object: `${host}:${port}` })),
    ),
    ...['0.0.0.0', '127.0.0.1', '[::1]'].flatMap((host) =>
      ports.map((port): Question => ({ action: 'net.listen', object: `ip:${host}:${port}` })),
    ),
    ...['t', 'tt', 'u', 'git.log'].flatMap((object) => [
      { action: 'tools', object } as const,
      ...values.flatMap((p) =>
        [undefined, 1, 'a'].map(
          (q): Question => ({ action: 'tools', object, args: { ...(p === undefined ? {} : { p }), ...(q === undefined ? {} : { q }) } }),
        ),
      ),
    ]),
    ...['m', 'm1', 'n'].map((object): Question => ({ action: 'infer', object })),
  ]
  const few = <T>(of: fc.Arbitrary<T>, most = 2): fc.Arbitrary<T[]> => fc.array(of, { maxLength: most })
  const glob = fc.constantFrom('/a', '/a/**', '/**', '/*', '/a/*', '/{a,b}/*', '/[ab]', '/[!a]*', '/*/.git', '/é', '/?', '/a/b')
  const written = fc.constantFrom('/a', '/a/**', '/a/*', '/a/b', '/é', '/b/**', '/a/.git/config')
  const host = fc.constantFrom('a.test', '*.a.test', 'x.a.test', '*.x.a.test', 'b.test')
  const port = fc.constantFrom('80', '*', '80-90', '85-100', '443')
  const dns = fc.tuple(host, port).map(([name, at]) => `dns:${name}:${at}`)
  const ip = fc
    .tuple(fc.constantFrom('10.0.0.0/8', '10.1.0.0/16', '10.1.0.0', '8.8.0.0/16', '[fd00::/8]'), port)
    .map(([range, at]) => `ip:${range}:${at}`)
  const condition = fc.oneof(
    fc.constantFrom('/a/**', '/a/*', '/*').map((text) => ({ glob: text })),
    fc.constantFrom('/a', '/', '').map((prefix) => ({ prefix })),
    fc.constantFrom('/a/b', 2, true, null).map((equals) => ({ equals })),
    fc.tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 2, max: 4 })).map(([min, max]) => ({ min, max })),
    fc.integer({ min: 0, max: 3 }).map((max_length) => ({ max_length })),
    fc.constant({ absent: true }),
  )
  const tool = fc.oneof(
    fc.constantFrom('t', 't*', 'git.*', '*'),
    fc.record({
      name: fc.constantFrom('t', 't*'),
      args: fc.dictionary(fc.constantFrom('/p', '/q'), condition, { minKeys: 1, maxKeys: 2 }),
    }),
  )
  const env = fc.constantFrom('A', 'AB', 'A*', 'AB*', 'LC_*', 'B')
  const mount = fc.constantFrom('/a', '/a:ro', '/a:rw', '/b', '/b:ro')
  const optional = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<Record<string, T>> =>
    fc.oneof(
      of.map((value) => ({ value })),
      fc.constant({}),
    ) as fc.Arbitrary<Record<string, T>>
  const document: fc.Arbitrary<Document> = fc.record({
    profiles: fc.subarray(['tier1-musl', 'tier2-glibc', 'python'], { maxLength: 1 }),
    fs: fc.record({
      look: few(glob, 1),
      read: few(glob),
      write: few(written),
      deny: fc.record({ look: few(glob, 1), read: few(glob, 1), write: few(glob, 1) }),
      ask: fc.record({ look: few(glob, 1), read: few(glob, 1), write: few(written, 1) }),
    }),
    net: fc.record({
      dns: few(host, 1),
      connect: few(fc.oneof(dns, ip)),
      listen: few(fc.constantFrom('ip:0.0.0.0:80', 'ip:127.0.0.1:80-90', 'ip:127.0.0.1:81'), 1),
      hosts: fc.constantFrom({}, {}, { 'a.test': '10.1.0.0' }),
      deny: fc.record({ dns: few(host, 1), connect: few(dns, 1) }),
      ask: fc.record({ connect: few(dns, 1) }),
    }),
    tools: fc.record({ allow: few(tool), deny: few(tool, 1), ask: few(tool, 1) }),
    infer: fc.record({ models: few(fc.constantFrom('m', 'm*', '*'), 1), deny: few(fc.constantFrom('m1'), 1) }),
    budgets: fc.constantFrom({}, { calls: 5 }, { calls: 6 }, { calls: 5, bytes: 9 }),
    env: fc
      .tuple(optional(few(env)), few(fc.constantFrom('A', 'AB'), 1))
      .map(([{ value }, require]) => ({ ...(value === undefined ? {} : { allow: value }), require })),
    mounts: fc
      .tuple(optional(few(mount)), few(mount, 1))
      .map(([{ value }, require]) => ({ ...(value === undefined ? {} : { allow: value }), require })),
  })
  /** A child that is mostly the parent, less one section or with one of another: so that `yes` and near misses happen. */
  const pair = fc
    .tuple(
      document,
      document,
      fc.subarray(['profiles', 'fs', 'net', 'tools', 'infer', 'budgets', 'env', 'mounts'] as const, { maxLength: 2 }),
    )
    .map(([one, two, taken]): [Document, Document] => [one, { ...one, ...Object.fromEntries(taken.map((key) => [key, two[key]])) }])
  const subsets = <T>([first, ...rest]: readonly T[]): T[][] =>
    first === undefined ? [[]] : subsets(rest).flatMap((set) => [set, [first, ...set]])
  const surroundings = subsets(['A', 'AB', 'ABC', 'B', 'LC_X', 'Z']).flatMap((passed) =>
    [null, true, false].flatMap((a) =>
      [null, true, false].flatMap((b) =>
        [null, true].map((other) => ({
          env: passed,
          mounts: [
            ...(a === null ? [] : [{ guest: '/a', readonly: a }]),
            ...(b === null ? [] : [{ guest: '/b', readonly: b }]),
            ...(other === null ? [] : [{ guest: '/c', readonly: other }]),
          ],
        })),
      ),
    ),
  )

  it('no effect of the world and no surroundings contradict a yes, and every no is shown', () => {
    const answers = { yes: 0, no: 0, unknown: 0 }
    fc.assert(
      fc.property(pair, ([outer, inner]) => {
        const [parent, child] = [policyFrom(outer), policyFrom(inner)]
        const found = containsPolicy(parent, child)
        answers[found.contains]++
        const more = (question: Question): boolean => {
          const [out, own] = [parent.decide(question), child.decide(question)]
          return (own.allow && !out.allow) || (own.ask === true && !out.allow && out.ask !== true)
        }
        if (found.contains === 'no' && found.example !== null) expect([found.example, more(found.example)]).toEqual([found.example, true])
        const beyond =
          world.find(more) ??
          surroundings.find((run) => checkExpectations(child, run).length === 0 && checkExpectations(parent, run).length > 0)
        if (found.contains === 'yes') expect(beyond).toBeUndefined()
        // A no without an effect is about budgets or surroundings: those there are few enough of to try all.
        if (found.contains === 'no' && found.example === null && !found.why.startsWith('budget')) expect(found.why).toMatch(/^a run with /)
      }),
      { numRuns: 30 },
    )
    expect(Math.min(answers.yes, answers.no)).toBeGreaterThan(4)
  }, 120_000)
})
