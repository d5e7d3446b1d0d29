/**
 * `policy test`: expected verdicts as data, and which rules they exercise. A file (JSON or TOML) holds lists under `allow`, `ask` and `deny`; an entry is
 * `"PERMISSION OBJECT"` or `{ "effect": "PERMISSION OBJECT", "args": …, "rule": POINTER }`.
 */
import type { Json, Question } from '../vocabulary/index.ts'
import { askedRules } from './expand.ts'
import { parseJson } from './json.ts'
import { MAX_CASES } from './limits.ts'
import { PolicyLoadError, quoted } from './load-error.ts'
import { originOf } from './merge.ts'
import { nearestKey } from './nearest-key.ts'
import { readSource, type SourceText } from './source-text.ts'
import type { LoadedPolicy } from './stage.ts'
import { parseToml } from './toml.ts'
import { toolRuleText } from './tool-rule.ts'
import { type Node, pointerTo } from './tree.ts'
import { questionOf, standingOf } from './why.ts'

type Standing = 'allow' | 'ask' | 'deny'

export interface PolicyCase {
  readonly expected: Standing
  readonly question: Question
  /** The rule that must decide, where the case says. */
  readonly rule: string | null
  readonly line: number
}

export interface CaseResult extends PolicyCase {
  readonly ok: boolean
  readonly got: Standing
  readonly by: string | null
  readonly reason: string
}

export interface CaseReport {
  readonly results: readonly CaseResult[]
  readonly failed: number
  /** Rules of the policy's own files that no case was decided by. */
  readonly uncovered: readonly { readonly origin: string; readonly text: string }[]
  readonly rules: number
}

const KEYS = ['version', 'allow', 'ask', 'deny', '$schema'] as const
const STANDINGS = { allowed: 'allow', asked: 'ask', denied: 'deny' } as const

/** Throws PolicyLoadError with every problem found. */
export function readCases(bytes: Uint8Array, source: string): PolicyCase[] {
  const text = readSource(bytes, source)
  const root = source.toLowerCase().endsWith('.toml') ? parseToml(text) : parseJson(text)
  const reader = new CaseReader(text)
  reader.read(root)
  if (reader.problems.length > 0) throw new PolicyLoadError(source, reader.problems)
  return reader.cases
}

class CaseReader {
  readonly cases: PolicyCase[] = []
  readonly problems: ReturnType<SourceText['problem']>[] = []
  readonly #text: SourceText

  constructor(text: SourceText) {
    this.#text = text
  }

  read(root: Node): void {
    if (root.kind !== 'object')
      return this.#report(root.at, '', 'expected an object', 'write `{ "version": "1.0", "allow": [], "deny": [] }`')
    for (const { key, at, value } of root.members) {
      const known = KEYS.find((each) => each === key)
      if (known === undefined) {
        const near = nearestKey(key, KEYS)
        this.#report(
          at,
          `/${key}`,
          `unknown key ${quoted(key)}`,
          near === null ? `known here: ${KEYS.join(', ')}` : `did you mean \`${near}\`?`,
        )
      } else if (known === 'version') {
        if (value.kind !== 'string' || value.value !== '1.0') this.#report(value.at, '/version', 'unknown version', 'write `"1.0"`')
      } else if (known !== '$schema') this.#list(known, value)
    }
    if (!root.members.some(({ key }) => key === 'version'))
      this.#report(root.at, '', 'the key `version` is missing', 'add `"version": "1.0"`')
  }

  #list(expected: Standing, node: Node): void {
    if (node.kind !== 'list') return this.#report(node.at, `/${expected}`, 'expected a list of effects', 'write e.g. `["fs.read /work/a"]`')
    for (const [index, item] of node.items.entries()) {
      const pointer = pointerTo(`/${expected}`, index)
      if (this.cases.length >= MAX_CASES) return this.#report(item.at, pointer, `more than ${MAX_CASES} cases`, 'split the file')
      this.#case(expected, item, pointer)
    }
  }

  #case(expected: Standing, node: Node, pointer: string): void {
    const members = node.kind === 'object' ? node.members : []
    const member = (key: string): Node | undefined => members.find((each) => each.key === key)?.value
    const effect = node.kind === 'string' ? node : member('effect')
    if (effect?.kind !== 'string')
      return this.#report(node.at, pointer, 'expected an effect', 'write `"PERMISSION OBJECT"`, e.g. `"fs.read /work/a"`')
    const stray = members.find(({ key }) => key !== 'effect' && key !== 'args' && key !== 'rule')
    if (stray !== undefined) return this.#report(stray.at, pointer, `unknown key ${quoted(stray.key)}`, 'known here: effect, args, rule')
    const space = effect.value.indexOf(' ')
    const question = questionOf(effect.value.slice(0, Math.max(0, space)), effect.value.slice(space + 1).trim())
    if ('error' in question) return this.#report(effect.at, pointer, question.error, question.hint)
    const rule = member('rule')
    if (rule !== undefined && rule.kind !== 'string') return this.#report(rule.at, pointer, 'expected a pointer as text', null)
    const args = member('args')
    this.cases.push({
      expected,
      question: args === undefined ? question : { ...question, args: jsonOf(args) },
      rule: rule?.kind === 'string' ? rule.value : null,
      line: this.#text.place(node.at).line,
    })
  }

  #report(at: number, pointer: string, message: string, suggestion: string | null): void {
    this.problems.push(this.#text.problem(at, pointer, message, suggestion))
  }
}

function jsonOf(node: Node): Json {
  switch (node.kind) {
    case 'object':
      return Object.fromEntries(node.members.map(({ key, value }) => [key, jsonOf(value)]))
    case 'list':
      return node.items.map(jsonOf)
    case 'string':
    case 'boolean':
      return node.value
    case 'number':
      return Number(node.text)
    case 'null':
    case 'date':
      return null
  }
}

export function runCases(policy: LoadedPolicy, cases: readonly PolicyCase[]): CaseReport {
  const results = cases.map((each): CaseResult => {
    const verdict = policy.decide(each.question)
    const got = STANDINGS[standingOf(verdict)]
    return {
      ...each,
      got,
      by: verdict.rule,
      reason: verdict.reason,
      ok: got === each.expected && (each.rule === null || each.rule === verdict.rule),
    }
  })
  const used = new Set(results.map(({ by }) => by))
  const rules = ownRules(policy)
  return {
    results,
    failed: results.filter(({ ok }) => !ok).length,
    uncovered: rules.filter(({ origin }) => !used.has(origin)),
    rules: rules.length,
  }
}

/** Everything the files themselves say, without profiles. */
function ownRules(policy: LoadedPolicy): { readonly origin: string; readonly text: string }[] {
  const { document, expanded } = policy
  const asked = askedRules(document)
  const { fs, net, tools, infer } = document
  const denied: readonly (readonly [string, readonly string[]])[] = [
    ['/fs/deny/look', fs.deny.look],
    ['/fs/deny/read', fs.deny.read],
    ['/fs/deny/write', fs.deny.write],
    ['/net/deny/dns', net.deny.dns],
    ['/net/deny/connect', net.deny.connect],
    ['/tools/deny', tools.deny.map(toolRuleText)],
    ['/infer/deny', infer.deny],
  ]
  const listed = [expanded, asked].flatMap((lists) =>
    [lists.look, lists.read, lists.write, lists.dns, lists.connect, lists.listen, lists.tools, lists.infer].flat(),
  )
  return [
    ...listed.filter(({ origin }) => !origin.startsWith('profile:') && !origin.startsWith('/net/hosts/')),
    ...denied.flatMap(([list, texts]) => texts.map((text, index) => ({ text, origin: originOf(document, `${list}/${index}`) }))),
  ]
}
