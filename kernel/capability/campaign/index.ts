import fc from 'fast-check'
import type { Action, Question } from '../../vocabulary/index.ts'
import { attenuate } from '../attenuate.ts'
import { bunMac } from '../mac-bun.ts'
import type { Restriction } from '../restriction.ts'
import { NOW, testStage } from '../testing/index.ts'
import type { Grants } from '../types.ts'

/**
 * Random tokens and questions against an evaluator so naive that it can be read at a glance: lists of lists, no MAC, no handle, no compiled pattern.
 * Patterns are literals and whole trees of a small world, so that yes and no are both frequent.
 */
const PATHS = ['/', '/a', '/a/b', '/a/b/c', '/d', '/d/e']
const TREES = ['/**', '/a/**', '/a/b/**', '/d/**', '/a', '/a/b', '/d/e']
const NAMES = ['x.example.com', 'y.example.com']
const list = <T>(values: readonly T[]) => fc.option(fc.subarray([...values]), { nil: undefined, freq: 2 })
const grantsArbitrary: fc.Arbitrary<Grants> = fc
  .record({
    look: list(TREES),
    read: list(TREES),
    write: list(TREES),
    dns: list(NAMES),
    connect: list(NAMES.map((name) => `dns:${name}:443`)),
    tools: list(['t', 'u']),
    infer: list(['m']),
  })
  .map(
    ({ look, read, write, dns, connect, tools, infer }) =>
      clean({ fs: clean({ look, read, write }), net: clean({ dns, connect }), tools, infer }) as Grants,
  )
const restriction: fc.Arbitrary<Restriction> = fc
  .record({
    grants: grantsArbitrary,
    closed: fc.option(fc.boolean(), { nil: undefined }),
    expires: fc.option(fc.integer({ min: NOW - 2, max: NOW + 5 }), { nil: undefined, freq: 1 }),
  })
  .map(({ grants, closed, expires }) => ({ ...grants, ...clean({ closed, expires }), delegate: 15 }))
const question: fc.Arbitrary<Question> = fc.oneof(
  fc.record({ action: fc.constantFrom<Action>('fs.look', 'fs.read', 'fs.write'), object: fc.constantFrom(...PATHS) }),
  fc.record({ action: fc.constant<Action>('fs.look'), object: fc.constantFrom(...PATHS) }),
  fc.record({ action: fc.constant<Action>('net.dns'), object: fc.constantFrom(...NAMES) }),
  fc.record({ action: fc.constant<Action>('net.connect'), object: fc.constantFrom(...NAMES.map((name) => `dns:${name}:443`)) }),
  fc.record({ action: fc.constantFrom<Action>('tools', 'infer'), object: fc.constantFrom('t', 'u', 'm') }),
)

function clean(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined))
}

function listOf(grants: Grants, action: Action): readonly string[] | undefined {
  const [section, name] = action.split('.')
  const value: unknown = Reflect.get(grants, section ?? '')
  return (name === undefined ? value : Reflect.get(Object(value), name)) as readonly string[] | undefined
}

const inTree = (tree: string, path: string): boolean =>
  tree === path || tree === '/**' || (tree.endsWith('/**') && (path === tree.slice(0, -3) || path.startsWith(tree.slice(0, -2))))
const leadsTo = (tree: string, path: string): boolean => path === '/' || inTree(tree, path) || tree.startsWith(`${path}/`)

function listed(grants: Grants, { action, object }: Question): boolean {
  const trees = (name: Action) => listOf(grants, name) ?? []
  if (action === 'fs.look') return [...trees('fs.look'), ...trees('fs.read'), ...trees('fs.write')].some((tree) => leadsTo(tree, object))
  if (action === 'fs.read' || action === 'fs.write') return trees(action).some((tree) => inTree(tree, object))
  if (action === 'net.dns') return trees('net.dns').includes(object) || trees('net.connect').includes(`dns:${object}:443`)
  return trees(action).includes(object)
}

function naive(grant: Grants, restrictions: readonly Restriction[], now: number, asked: Question): boolean {
  if (!listed(grant, asked)) return false
  return restrictions.every((each) => {
    if (each.expires !== undefined && now >= each.expires) return false
    if (each.closed === true || listed(each, asked)) return listed(each, asked)
    if (listOf(each, asked.action) !== undefined) return false
    return asked.action !== 'fs.look' || listOf(each, 'fs.read') === undefined || listOf(each, 'fs.write') === undefined
  })
}

export interface FamilyReport {
  /** Answers compared. */
  readonly cases: number
  readonly allowed: number
  readonly refused: number
}

/** Asks `families` random tokens and all their ancestors random questions. Throws at the first answer that differs from the naive one, or that a child gives and its parent does not. */
export function compareFamilies(families: number, seed?: number): FamilyReport {
  const { stage } = testStage()
  const seen = { allowed: 0, refused: 0 }
  const ask = (token: string, asked: Question): boolean => {
    let handle: number
    try {
      handle = stage.bind('s', token)
    } catch {
      return false
    }
    const verdict = stage.check('s', handle, [asked])
    stage.release('s', handle)
    return verdict.allow
  }
  fc.assert(
    fc.property(
      grantsArbitrary,
      fc.array(restriction, { maxLength: 4 }),
      fc.array(question, { minLength: 5, maxLength: 10 }),
      (grant, restrictions, questions) => {
        const family = [stage.mint(grant, { notBefore: NOW, expires: NOW + 1000 })]
        for (const each of restrictions) family.push(attenuate(family.at(-1) ?? '', each, bunMac))
        for (const asked of questions) {
          const answers = family.map((token) => ask(token, asked))
          answers.forEach((answer, depth) => {
            const told = (): string => JSON.stringify({ grant, restrictions: restrictions.slice(0, depth), asked })
            if (answer !== naive(grant, restrictions.slice(0, depth), NOW, asked)) throw new Error(`the naive answer differs: ${told()}`)
            if (depth > 0 && answer && answers[depth - 1] !== true) throw new Error(`a child allows what its parent refuses: ${told()}`)
            seen[answer ? 'allowed' : 'refused'] += 1
          })
        }
      },
    ),
    { numRuns: families, ...(seed === undefined ? {} : { seed }) },
  )
  return { cases: seen.allowed + seen.refused, ...seen }
}
