/**
 * Whether every run the child may be given, the parent may be given too: environment and mounts. Each name and each mount is admitted or not by itself, so a few that
 * stand for all others decide, and `checkExpectations` itself judges each of them.
 */
import { checkExpectations, parseMountRule, type RunSurroundings } from '../expectations.ts'
import type { LoadedPolicy } from '../stage.ts'
import { MAX_SURROUNDING_RULES } from './limits.ts'
import { type Containment, YES } from './types.ts'

const LETTERS = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_')

export function surroundingsContained(parent: LoadedPolicy, child: LoadedPolicy): Containment {
  const env = [parent, child].flatMap(({ document }) => [...document.env.require, ...(document.env.allow ?? [])])
  const mounts = [parent, child].flatMap(({ document }) => [...document.mounts.require, ...(document.mounts.allow ?? [])])
  if (env.length + mounts.length > MAX_SURROUNDING_RULES)
    return sameRules(parent, child)
      ? YES
      : { contains: 'unknown', why: 'there are too many rules for the environment and mounts to compare' }
  const least = leastRun(child)
  // Nothing satisfies the child: it lets no run start.
  if (checkExpectations(child, least).length > 0) return YES
  const { names, whole } = namesFor(env)
  const runs = [
    least,
    ...names.map((name) => ({ ...least, env: [...least.env, name] })),
    ...mountsFor(mounts).map((mount) => ({ ...least, mounts: [...least.mounts.filter(({ guest }) => guest !== mount.guest), mount] })),
  ]
  for (const run of runs) {
    const [why] = checkExpectations(parent, run)
    if (why !== undefined && checkExpectations(child, run).length === 0)
      return { contains: 'no', example: null, why: `a run with ${describe(run)} satisfies the child, but ${why}` }
  }
  return whole ? YES : { contains: 'unknown', why: 'the prefixes of environment variables leave no name that could stand for the others' }
}

function sameRules({ document: outer }: LoadedPolicy, { document: inner }: LoadedPolicy): boolean {
  return JSON.stringify([outer.env, outer.mounts]) === JSON.stringify([inner.env, inner.mounts])
}

/** What the child requires and nothing else. */
function leastRun({ document }: LoadedPolicy): RunSurroundings {
  const mounts = new Map<string, boolean>()
  for (const { guest, access } of document.mounts.require.map(parseMountRule))
    mounts.set(guest, (mounts.get(guest) ?? false) || access === 'ro')
  return { env: document.env.require, mounts: [...mounts].map(([guest, readonly]) => ({ guest, readonly })) }
}

/**
 * Every name written, and for each prefix and each letter after it a name that no longer rule speaks of: any other name is decided like one of them.
 * `whole`: false where the rules leave no such name.
 */
function namesFor(rules: readonly string[]): { readonly names: readonly string[]; readonly whole: boolean } {
  const literal = new Set(rules.filter((rule) => !rule.endsWith('*')))
  const prefixes = new Set(['', ...rules.filter((rule) => rule.endsWith('*')).map((rule) => rule.slice(0, -1))])
  const names = new Set([...literal, ...prefixes].filter((name) => name !== ''))
  const own = (name: string, prefix: string): boolean =>
    !literal.has(name) && ![...prefixes].some((other) => other.length > prefix.length && name.startsWith(other))
  let whole = true
  for (const prefix of prefixes) {
    for (const letter of prefix === '' ? LETTERS.filter((each) => !/[0-9]/.test(each)) : LETTERS) {
      const next = prefix + letter
      // Whatever goes on here belongs to the longer prefix.
      if (prefixes.has(next)) continue
      const found = [next, ...LETTERS.map((more) => next + more)].find((name) => own(name, prefix))
      if (found === undefined) whole = false
      else names.add(found)
    }
  }
  return { names: [...names], whole }
}

/** Every place that is written, and one that is not, each way. */
function mountsFor(rules: readonly string[]): RunSurroundings['mounts'] {
  const places = new Set(rules.map((rule) => parseMountRule(rule).guest))
  let other = '/elsewhere'
  while (places.has(other)) other += 'x'
  return [...places, other].flatMap((guest) => [
    { guest, readonly: true },
    { guest, readonly: false },
  ])
}

function describe({ env, mounts }: RunSurroundings): string {
  const parts = [...env.map((name) => `-e ${name}`), ...mounts.map(({ guest, readonly }) => `-v HOST:${guest}${readonly ? ':ro' : ''}`)]
  return parts.length === 0 ? 'neither environment nor mounts' : parts.join(' ')
}
