/** One decision: always-deny ▸ deny ▸ ask ▸ allow ▸ default deny. */
import {
  classify,
  compileRules,
  isNever,
  LOOKED_THROUGH,
  type LookedThrough,
  mayBeOpened,
  parseEndpoint,
  pathSegments,
  type RuleSet,
} from '../patterns/index.ts'
import type { Question } from '../vocabulary/index.ts'
import { type AlwaysDenyOptions, type AlwaysDenyRule, alwaysDenied, guardedFolder } from './always-deny.ts'
import { compileDeny, type DenyRules } from './deny.ts'
import type { PolicyDocument } from './document.ts'
import { askedRules, type Expanded, grantsOf, ruleAt } from './expand.ts'
import { fixFor } from './fix.ts'
import { literalPathOf } from './literal-path.ts'
import { quoted } from './load-error.ts'
import { originOf } from './merge.ts'
import { type CompiledTools, compileTools, toolRuleText } from './tool-rule.ts'
import type { PolicyVerdict } from './types.ts'

const AFTER_DENIED_READ: readonly LookedThrough[] = ['fs.write', 'fs.look']
const AFTER_DENIED_WRITE: readonly LookedThrough[] = ['fs.read', 'fs.look']

export class Decider {
  readonly #document: PolicyDocument
  readonly #expanded: Expanded
  readonly #rules: RuleSet
  readonly #deny: DenyRules
  /** Null where nothing is asked about. */
  readonly #ask: RuleSet | null
  readonly #asked: Expanded
  readonly #tools: { readonly allow: CompiledTools; readonly ask: CompiledTools }
  readonly #literalWrites: ReadonlySet<string>
  readonly #options: AlwaysDenyOptions
  /** What each rule answers, made once. */
  readonly #verdicts = { expanded: new Map<string, PolicyVerdict>(), asked: new Map<string, PolicyVerdict>() }

  constructor(document: PolicyDocument, expanded: Expanded, options: AlwaysDenyOptions) {
    this.#document = document
    this.#expanded = expanded
    this.#options = options
    const { tools: _, ...grants } = grantsOf({ ...expanded, asked: null })
    this.#rules = compileRules(grants)
    this.#deny = compileDeny(document)
    this.#asked = askedRules(document)
    const asked = [this.#asked.look, this.#asked.read, this.#asked.write, this.#asked.connect, this.#asked.infer]
    const { tools: __, ...askedGrants } = grantsOf(this.#asked)
    this.#ask = asked.every((rules) => rules.length === 0) ? null : compileRules(askedGrants)
    this.#tools = { allow: compileTools(document.tools.allow, 'holds'), ask: compileTools(document.tools.ask, 'applies') }
    this.#literalWrites = new Set(document.fs.write.flatMap((rule) => literalPathOf(rule) ?? []))
  }

  decide(question: Question): PolicyVerdict {
    if (question.action === 'fs.look') return this.#look(question)
    const never = neverReason(question)
    if (never !== null) return { allow: false, rule: 'always-deny:address', reason: never, fix: null }
    return (
      this.#guarded(question) ?? this.#denied(question) ?? this.#askedFor(question) ?? this.#allowed(question) ?? this.#nothing(question)
    )
  }

  mayResolve(name: string): boolean {
    return this.#rules.mayResolve(name) || this.#ask?.mayResolve(name) === true
  }

  /**
   * Looking is allowed through rules for looking, reading and changing, each of the latter two after its own deny list; it is harmless to what always-deny
   * protects. What deny rules let be neither read nor changed (`fs.deny.look` does both) is not looked at either. Only `fs.ask.look` asks, of the object itself.
   */
  #look(question: Question): PolicyVerdict {
    const { object } = question
    const deniedRead = this.#deny.match({ action: 'fs.read', object })
    const deniedWrite = this.#deny.match({ action: 'fs.write', object })
    if (deniedRead !== null && deniedWrite !== null)
      return this.#denied(question) ?? this.#denied({ action: 'fs.read', object }) ?? this.#nothing(question)
    const pending = this.#ask?.matchAt('fs.look', object) ?? null
    if (pending !== null) return this.#asking(question, ruleAt(this.#asked, pending)?.origin ?? pending)
    const through = deniedRead !== null ? AFTER_DENIED_READ : deniedWrite !== null ? AFTER_DENIED_WRITE : LOOKED_THROUGH
    const rule = this.#rules.matchLook(object, through)
    if (rule !== null) return this.#verdict('expanded', rule)
    const asked = this.#ask?.matchLook(object, through) ?? null
    return asked === null ? this.#nothing(question) : this.#verdict('asked', asked)
  }

  #guarded(question: Question): PolicyVerdict | null {
    if (question.action !== 'fs.write') return null
    const { object } = question
    const hit = alwaysDenied(object, this.#options)
    const folder = hit === null && question.makes !== 'directory' ? guardedFolder(object) : null
    const rule = hit ?? folder
    if (rule === null || this.#lifted(object)) return null
    return { allow: false, rule: `always-deny:${rule.id}`, reason: guardReason(rule, object, hit === null), fix: fixFor(question) }
  }

  /** Only a rule that is this very path, without any wildcard, lifts an always-deny. */
  #lifted(path: string): boolean {
    return this.#literalWrites.has(path)
  }

  #denied(question: Question): PolicyVerdict | null {
    const pointer = this.#deny.match(question)
    if (pointer === null) return null
    const rule = originOf(this.#document, pointer)
    return { allow: false, rule, reason: `${say(question)} is denied by ${rule}; no allow rule outweighs it`, fix: null }
  }

  #askedFor(question: Question): PolicyVerdict | null {
    const rule = question.action === 'tools' ? this.#toolOrigin('ask', question) : this.#askedOrigin(question)
    return rule === null ? null : this.#asking(question, rule)
  }

  #asking(question: Question, rule: string): PolicyVerdict {
    return { allow: false, ask: true, rule, reason: `${say(question)} needs the approval of a person (${rule})`, fix: null }
  }

  #askedOrigin(question: Question): string | null {
    // Resolving a name that may be asked about opens nothing: the connection is asked about.
    const pointer = question.action === 'net.dns' ? null : (this.#ask?.match(question) ?? null)
    return pointer === null ? null : (ruleAt(this.#asked, pointer)?.origin ?? pointer)
  }

  #toolOrigin(list: 'allow' | 'ask', question: Question): string | null {
    const index = this.#tools[list].match(question.object, question.args)
    return index === null ? null : originOf(this.#document, `/tools/${list}/${index}`)
  }

  #allowed(question: Question): PolicyVerdict | null {
    if (question.action === 'tools') {
      const index = this.#tools.allow.match(question.object, question.args)
      if (index === null) return null
      const rule = originOf(this.#document, `/tools/allow/${index}`)
      return { allow: true, rule, reason: `allowed by ${rule} ${quoted(toolRuleText(this.#document.tools.allow[index] ?? ''))}`, fix: null }
    }
    const rule = this.#rules.match(question)
    if (rule !== null) return this.#verdict('expanded', rule)
    const asked = question.action === 'net.dns' ? (this.#ask?.match(question) ?? null) : null
    return asked === null ? null : this.#verdict('asked', asked)
  }

  #verdict(list: 'expanded' | 'asked', pointer: string): PolicyVerdict {
    const known = this.#verdicts[list].get(pointer)
    if (known !== undefined) return known
    const rule = ruleAt(list === 'expanded' ? this.#expanded : this.#asked, pointer)
    const verdict: PolicyVerdict = {
      allow: true,
      rule: rule?.origin ?? pointer,
      reason: `allowed by ${rule?.origin ?? pointer} ${quoted(rule?.text ?? '')}`,
      fix: null,
    }
    this.#verdicts[list].set(pointer, verdict)
    return verdict
  }

  #nothing(question: Question): PolicyVerdict {
    if (question.action === 'tools') return this.#noTool(question)
    const near = this.#rules.nearest(question)
    const rule = near === null ? null : ruleAt(this.#expanded, near)
    const nearest = rule === null || rule.origin.startsWith('profile:') ? '' : `; the nearest is ${rule.origin} ${quoted(rule.text)}`
    return { allow: false, rule: null, reason: `no rule allows ${say(question)}${malformed(question)}${nearest}`, fix: fixFor(question) }
  }

  /** Where only an argument is at fault there is no fix: a rule for the bare name would allow any argument. */
  #noTool(question: Question): PolicyVerdict {
    const near = this.#tools.allow.nearMiss(question.object, question.args)
    if (near === null) return { allow: false, rule: null, reason: `no rule allows ${say(question)}`, fix: fixFor(question) }
    const rule = originOf(this.#document, `/tools/allow/${near.rule}`)
    return {
      allow: false,
      rule: null,
      reason: `no rule allows ${say(question)} with these arguments; ${rule} would, but for ${quoted(near.pointer)}`,
      fix: null,
    }
  }
}

/** Addresses that no rule of any policy opens. */
function neverReason(question: Question): string | null {
  if (question.action !== 'net.connect') return null
  const endpoint = parseEndpoint(question.object)
  if (endpoint?.kind !== 'ip' || mayBeOpened(endpoint.address)) return null
  const kind = classify(endpoint.address)
  return `${quoted(question.object)} is ${isNever(kind) ? `a ${kind} address` : 'carried to an address'} that no rule can open`
}

function guardReason(rule: AlwaysDenyRule, path: string, folder: boolean): string {
  const what = folder ? `${quoted(path)} may only be made as an empty folder` : `${quoted(path)} is never written`
  return `${what}, because ${rule.why} (always-deny ${rule.id}); only a rule for exactly this path lifts it`
}

function say({ action, object }: Question): string {
  return `${action === 'fs.look' ? 'looking at' : action} ${quoted(object)}`
}

function malformed(question: Question): string {
  const { action, object } = question
  const wrong =
    ((action === 'fs.look' || action === 'fs.read' || action === 'fs.write') && pathSegments(object) === null) ||
    ((action === 'net.connect' || action === 'net.listen') && parseEndpoint(object) === null)
  return wrong ? ' (it is not in canonical form)' : ''
}
