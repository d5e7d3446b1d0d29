/**
 * `policy learn`: from what a run was refused to rules for a policy. At the lowest rung exactly what was refused; `folder` and `glob` widen where several needs
 * share a place. What is always denied is never proposed, and nothing that a deny or ask rule of the policy decides.
 */
import { compileRules, isPublicSuffix, literalPathPattern, parseEndpoint } from '../patterns/index.ts'
import type { Question } from '../vocabulary/index.ts'
import { addRules } from './add-rules.ts'
import { alwaysDenied, guardedFolder } from './always-deny.ts'
import { fixFor } from './fix.ts'
import { MAX_NEEDS } from './limits.ts'
import { loadPolicy } from './load.ts'
import { PROFILE_NAMES, PROFILES, type ProfileName } from './profiles.ts'
import type { LoadedPolicy, LoadOptions } from './stage.ts'

export type Rung = 'literal' | 'folder' | 'glob'
export const RUNGS: readonly Rung[] = ['literal', 'folder', 'glob']

export interface Need {
  readonly question: Question
  /** A file of the image itself: profiles hold those. */
  readonly image: boolean
  readonly count: number
}

export interface Proposal {
  /** `fs.read`, `net.connect`, … or `profiles`. */
  readonly permission: string
  readonly rule: string
  /** Distinct refused effects it allows. */
  readonly covers: number
  /** The next wider rule for the same place, where several share it. */
  readonly wider: string | null
}

export interface Lesson {
  readonly proposals: readonly Proposal[]
  /** Needs no rule is proposed for, each with why. */
  readonly leftOut: readonly { readonly need: Need; readonly why: string }[]
  /** The whole policy with the proposals added: loads, and allows every need that is not left out. */
  readonly text: string
  /** The same as JSON has it. */
  readonly tree: unknown
  /** Rules of `fs.look` that a proposal takes the place of. */
  readonly replaced: readonly string[]
}

/** `policy`: the text of the policy to add to, JSON or TOML as its name says. Throws PolicyLoadError when it does not load. */
export function learn(policy: string, source: string, needs: readonly Need[], rung: Rung, options: LoadOptions = {}): Lesson {
  const base = loadPolicy(new TextEncoder().encode(policy), source, options)
  const leftOut: { need: Need; why: string }[] = []
  const open: Need[] = []
  for (const need of distinct(needs)) {
    const why = refusal(base, need)
    if (why === null) open.push(need)
    else if (why !== '') leftOut.push({ need, why })
  }
  const profile = profileFor(
    base,
    open.filter(({ image }) => image),
  )
  const rest = withoutImpliedLooks(
    open.filter(({ image, question }) => !(image && profile?.covers(question) === true)),
    ({ question }) => question,
  )
  const proposals: Proposal[] = [
    ...(profile === null ? [] : [{ permission: 'profiles', rule: profile.name, covers: open.length - rest.length, wider: null }]),
    ...climb(rest, rung),
  ]
  const format = options.format ?? (source.toLowerCase().endsWith('.toml') ? 'toml' : 'json')
  return { proposals, leftOut, ...addRules(policy, format, proposals) }
}

/**
 * Less the looks that another rule implies: a rule of either kind for a path lets it and the folders on the way to it be looked at. The kernel looks a file
 * up before it makes it, and that must not make what is only written readable.
 */
export function withoutImpliedLooks<T>(items: readonly T[], questionOf: (item: T) => Question | null): T[] {
  const seen = new Set<string>()
  const above = new Set<string>()
  for (const item of items) {
    const question = questionOf(item)
    if (question === null || !question.action.startsWith('fs.')) continue
    if (question.action !== 'fs.look') seen.add(question.object)
    for (const folder of foldersAbove(question.object)) {
      if (above.has(folder)) break
      above.add(folder)
    }
  }
  return items.filter((item) => {
    const question = questionOf(item)
    return question?.action !== 'fs.look' || !(seen.has(question.object) || above.has(question.object))
  })
}

/** From the nearest to `/`. */
function* foldersAbove(path: string): Generator<string> {
  for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) yield path.slice(0, end)
  if (path !== '/') yield '/'
}

/** Null: to be learned. Empty: allowed already. Else why not. */
function refusal(base: LoadedPolicy, { question, image }: Need): string | null {
  const { action, object } = question
  const guard = action === 'fs.write' ? (alwaysDenied(object) ?? guardedFolder(object)) : null
  if (guard !== null) return `${guard.why}: only a literal rule of your own lifts it`
  const verdict = image ? base.decideImage(question) : base.decide(question)
  if (verdict.allow) return ''
  if (verdict.ask === true || verdict.rule !== null) return verdict.reason
  return fixFor(question) === null ? verdict.reason : null
}

function distinct(needs: readonly Need[]): Need[] {
  const found = new Map<string, Need>()
  for (const need of needs) {
    const key = `${need.image} ${need.question.action} ${need.question.object}`
    const known = found.get(key)
    if (known === undefined && found.size >= MAX_NEEDS) continue
    found.set(key, known === undefined ? need : { ...known, count: known.count + need.count })
  }
  return [...found.values()]
}

/** The least profile among those that hold the most of what the program reads in its own image. */
function profileFor(
  base: LoadedPolicy,
  needs: readonly Need[],
): { readonly name: ProfileName; covers(question: Question): boolean } | null {
  let best: { name: ProfileName; count: number; covers(question: Question): boolean } | null = null
  for (const name of PROFILE_NAMES.filter((each) => !base.document.profiles.includes(each))) {
    const rules = compileRules({ fs: { read: PROFILES[name].read } })
    const covers = (question: Question): boolean => rules.match(question) !== null
    const count = needs.filter(({ question }) => covers(question)).length
    if (count > (best?.count ?? 0)) best = { name, count, covers }
  }
  return best
}

interface Group {
  readonly permission: string
  /** What the needs share; null: nothing wider exists. */
  readonly place: string | null
  readonly rules: string[]
}

function climb(needs: readonly Need[], rung: Rung): Proposal[] {
  const groups = new Map<string, Group>()
  for (const { question } of needs) {
    const { permission, rule, places } = rungsOf(question)
    const place = places[rung === 'glob' ? 1 : 0] ?? null
    const key = place === null ? `${permission} ${rule}` : `${permission} ${place}`
    const group = groups.get(key) ?? { permission, place, rules: [] }
    if (!group.rules.includes(rule)) group.rules.push(rule)
    groups.set(key, group)
  }
  return [...groups.values()].flatMap(({ permission, place, rules }) => {
    if (place !== null && rules.length > 1 && rung !== 'literal') return [{ permission, rule: place, covers: rules.length, wider: null }]
    return rules.map((rule) => ({ permission, rule, covers: 1, wider: rules.length > 1 ? place : null }))
  })
}

/** The exact rule, and what stands on the rungs above it: folder, then glob. */
function rungsOf({ action, object }: Question): {
  readonly permission: string
  readonly rule: string
  readonly places: readonly (string | null)[]
} {
  if (action === 'fs.look' || action === 'fs.read' || action === 'fs.write') {
    const parts = object.split('/').slice(1)
    const folder = parts.slice(0, -1).map(literalPathPattern).join('/')
    const above = parts
      .slice(0, Math.max(1, parts.length - 2))
      .map(literalPathPattern)
      .join('/')
    const places = parts.length < 2 ? [] : [`/${folder}/*`, `/${above}/**`]
    return { permission: action, rule: literalPathPattern(object), places }
  }
  if (action === 'net.connect') {
    const endpoint = parseEndpoint(object)
    const parent = endpoint?.kind === 'dns' ? endpoint.name.slice(endpoint.name.indexOf('.') + 1) : ''
    const wide = endpoint?.kind === 'dns' && parent.includes('.') && !isPublicSuffix(parent) ? `dns:*.${parent}:${endpoint.port}` : null
    return { permission: action, rule: object, places: [wide, wide] }
  }
  const stem = action === 'tools' ? /^.*[./]/.exec(object)?.[0] : undefined
  return {
    permission: action === 'tools' ? 'tools.allow' : action === 'infer' ? 'infer.models' : action,
    rule: object,
    places: stem === undefined ? [] : [null, `${stem}*`],
  }
}
