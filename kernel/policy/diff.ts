/** `policy diff A B`: what B newly allows and denies, rule by rule with an example effect each, and over the effects of a recorded run. */
import { matchPathGlob, parseConnectPattern, parsePathGlob, pathSegments } from '../patterns/index.ts'
import type { Action, Question } from '../vocabulary/index.ts'
import { confirm } from './contains/confirm.ts'
import { effectsContained } from './contains/index.ts'
import { EMPTY_DOCUMENT, type PolicyDocument } from './document.ts'
import type { Expanded, ExpandedRule } from './expand.ts'
import { MAX_DIFF_WORK } from './limits.ts'
import { type LoadedPolicy, policyOf } from './stage.ts'
import { questionOf as asQuestion, standingOf } from './why.ts'

export interface DiffEntry {
  readonly permission: Action
  readonly rule: string
  readonly origin: string
  /** An effect that shows it; null where none was found within the limits: the rule may or may not change anything. */
  readonly example: string | null
  readonly why: string
}

export interface PolicyDiff {
  /** Rules of B through which it allows (or asks about) what A does not. */
  readonly allows: readonly DiffEntry[]
  /** Rules of A through which it allowed (or asked about) what B does not. */
  readonly denies: readonly DiffEntry[]
  readonly budgets: readonly { readonly name: string; readonly before: number | null; readonly after: number | null }[]
}

const LISTS: readonly (readonly [Exclude<keyof Expanded, 'asked'>, Action])[] = [
  ['look', 'fs.look'],
  ['read', 'fs.read'],
  ['write', 'fs.write'],
  ['dns', 'net.dns'],
  ['connect', 'net.connect'],
  ['listen', 'net.listen'],
  ['tools', 'tools'],
  ['infer', 'infer'],
]

export function diffPolicies(before: LoadedPolicy, after: LoadedPolicy): PolicyDiff {
  const names = [...new Set([...Object.keys(before.budgets), ...Object.keys(after.budgets)])] as (keyof LoadedPolicy['budgets'])[]
  return {
    allows: beyond(before, after),
    denies: beyond(after, before),
    budgets: names
      .map((name) => ({ name, before: before.budgets[name] ?? null, after: after.budgets[name] ?? null }))
      .filter((row) => row.before !== row.after),
  }
}

/**
 * Each rule of `inner`, alone with `inner`'s deny and ask lists, against all of `outer`. An effect at hand shows most differences; where none does it is searched for,
 * which costs about the rules of `outer`, and only so often.
 */
function beyond(outer: LoadedPolicy, inner: LoadedPolicy): DiffEntry[] {
  const rules = LISTS.reduce((sum, [list]) => sum + outer.expanded[list].length, 1)
  let searches = Math.max(1, Math.floor(MAX_DIFF_WORK / rules))
  const sameGround = groundOf(outer.document) === groundOf(inner.document)
  return LISTS.flatMap(([list, permission]) => {
    const known = new Set(outer.expanded[list].map(({ text }) => text))
    const indexes = new Map(inner.expanded[list].map((rule, index) => [rule, index]))
    const allowed = inner.expanded[list].filter(({ text }) => !(sameGround && known.has(text)))
    const asked = sameGround ? [] : (inner.expanded.asked?.[list] ?? [])
    return [...allowed, ...asked].flatMap((rule) => {
      const entry = (example: string | null, why: string): DiffEntry => ({ permission, rule: rule.text, origin: rule.origin, example, why })
      for (const question of effectsAtHand(permission, rule.text)) {
        const confirmed = confirm(outer, inner, question)
        if (confirmed?.contains === 'no') return [entry(`${question.action} ${question.object}`, confirmed.why)]
      }
      if (--searches < 0) return [entry(null, 'more rules differ than can be looked at one by one')]
      const index = indexes.get(rule) ?? -1
      const alone = policyOf(only(inner.document, list, rule, index), inner.id, inner.source, {})
      const found = effectsContained(outer, alone, permission)
      if (found.contains === 'yes') return []
      const example = found.contains === 'no' && found.example !== null ? `${found.example.action} ${found.example.object}` : null
      return [entry(example, found.why)]
    })
  })
}

/** A few effects that the rule surely matches. */
function effectsAtHand(permission: Action, rule: string): Question[] {
  if (permission === 'fs.read' || permission === 'fs.write' || permission === 'fs.look') {
    const glob = parsePathGlob(rule)
    const bases = glob.alternatives.slice(0, 2).map(({ base }) => base)
    return bases
      .flatMap((base) => [base, `${base === '/' ? '' : base}/a`])
      .filter((path) => matchPathGlob(glob, path))
      .map((object) => ({ action: permission, object }))
  }
  if (permission !== 'net.connect') return []
  const pattern = parseConnectPattern(rule, { publicSuffix: 'accept' })
  if (pattern.kind !== 'dns' || pattern.host.kind === 'any') return []
  const name = pattern.host.kind === 'name' ? pattern.host.name : `a.${pattern.host.parent}`
  return [
    { action: 'net.dns', object: name },
    { action: 'net.connect', object: `dns:${name}:${pattern.ports.low}` },
  ]
}

function groundOf({ fs, net, tools, infer }: PolicyDocument): string {
  return JSON.stringify([fs.deny, fs.ask, net.deny, net.ask, tools.deny, tools.ask, infer.deny, infer.ask, infer.max_tokens])
}

/** `index`: where the rule stands among the allow rules, or -1 for one that is asked about, which the ask lists hold already. */
function only(document: PolicyDocument, list: Exclude<keyof Expanded, 'asked'>, rule: ExpandedRule, index: number): PolicyDocument {
  const { fs, net, tools, infer } = document
  const asking = index === -1
  const texts = asking ? [] : [rule.text]
  return {
    ...EMPTY_DOCUMENT,
    fs: {
      ...EMPTY_DOCUMENT.fs,
      deny: fs.deny,
      // What is read or changed after approval may be looked at: that is not this rule's doing.
      ask: list === 'look' ? { ...EMPTY_DOCUMENT.fs.ask, look: fs.ask.look } : fs.ask,
      ...(list === 'look' || list === 'read' || list === 'write' ? { [list]: texts } : {}),
    },
    net: {
      ...EMPTY_DOCUMENT.net,
      deny: net.deny,
      ask: net.ask,
      ...(list === 'dns' || list === 'connect' || list === 'listen' ? { [list]: texts } : {}),
    },
    tools: { ...tools, allow: list === 'tools' && !asking ? tools.allow.slice(index, index + 1) : [] },
    infer: { ...infer, models: list === 'infer' ? texts : [] },
  }
}

/** An effect of a recorded run. */
export interface RecordedEffect {
  readonly op: string
  readonly action: string | null
  readonly object: string
  readonly allowed: boolean
}

export interface Replay {
  readonly allows: readonly RecordedEffect[]
  readonly asks: readonly RecordedEffect[]
  readonly denies: readonly RecordedEffect[]
  /** Effects whose decision is the same. */
  readonly same: number
  /** Effects a policy alone does not decide. */
  readonly skipped: number
}

/** What the policy would decide differently. Repeats of one effect count once. */
export function replay(policy: LoadedPolicy, effects: Iterable<RecordedEffect>): Replay {
  const seen = new Set<string>()
  const changed: { allows: RecordedEffect[]; asks: RecordedEffect[]; denies: RecordedEffect[] } = { allows: [], asks: [], denies: [] }
  let same = 0
  let skipped = 0
  for (const effect of effects) {
    const key = `${effect.op}\n${effect.action ?? ''}\n${effect.object}\n${effect.allowed}`
    if (seen.has(key)) continue
    seen.add(key)
    const questions = questionsOf(policy, effect)
    if (questions === null) {
      skipped++
      continue
    }
    const verdicts = questions.map((question) =>
      standingOf(effect.op === 'image.open' ? policy.decideImage(question) : policy.decide(question)),
    )
    const now = verdicts.includes('denied') ? 'denied' : verdicts.includes('asked') ? 'asked' : 'allowed'
    if ((now === 'allowed') === effect.allowed && now !== 'asked') same++
    else if (now === 'allowed') changed.allows.push(effect)
    else if (now === 'asked') changed.asks.push(effect)
    else changed.denies.push(effect)
  }
  return { ...changed, same, skipped }
}

const TWO_ENDS: readonly string[] = ['fs.rename', 'fs.link']

/** As the gate asks them (effects/fs/README.md), of what a record still says: a folder that moves is asked about with all that is in it, which no record holds. */
function questionsOf(policy: LoadedPolicy, { op, action, object }: RecordedEffect): Question[] | null {
  switch (action) {
    case 'fs.look':
    case 'fs.read':
    case 'fs.write': {
      const paths = TWO_ENDS.includes(op) ? object.split(' -> ') : [object]
      if (!paths.every((path) => pathSegments(path) !== null)) return null
      const [source = '', target] = paths
      const questions = paths.map((path): Question => ({ action, object: path, ...(op === 'fs.mkdir' ? { makes: 'directory' } : {}) }))
      const readable = target !== undefined && policy.decide({ action: 'fs.read', object: target }).allow
      return readable && action === 'fs.write' ? [...questions, { action: 'fs.read', object: source }] : questions
    }
    case 'net.dns':
    case 'net.connect':
    case 'net.listen':
    case 'tools':
    case 'infer': {
      // `(further objects, counted)`
      if (object.startsWith('(')) return null
      // A refused connection is recorded as it was asked for.
      const question = asQuestion(action, object)
      return 'error' in question ? null : [question]
    }
    default:
      return null
  }
}
