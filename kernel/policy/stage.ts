/** The policy stage: always-deny ▸ deny ▸ allow ▸ default deny. A loaded policy never changes; every decision is pure. */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import { classify, compileRules, isNever, mayBeOpened, parseEndpoint, pathSegments, type RuleSet } from '../patterns/index.ts'
import type { Question } from '../vocabulary/index.ts'
import { type AlwaysDenyOptions, type AlwaysDenyRule, alwaysDenied, guardedFolder } from './always-deny.ts'
import { compileDeny, type DenyRules } from './deny.ts'
import { EMPTY_DOCUMENT, type PolicyDocument, readDocument } from './document.ts'
import { type Expanded, expand, grantsOf, ruleAt } from './expand.ts'
import { fixFor } from './fix.ts'
import { parseJson } from './json.ts'
import { literalPathOf } from './literal-path.ts'
import { quoted } from './load-error.ts'
import { PROFILE_NAMES, PROFILES } from './profiles.ts'
import { POLICY_VERSION } from './schema.ts'
import { readSource } from './source-text.ts'
import { parseToml } from './toml.ts'
import type { Policy, PolicyVerdict } from './types.ts'

export interface LoadOptions extends AlwaysDenyOptions {
  /** Left out: TOML when the source's name ends in `.toml`, else JSON. */
  readonly format?: 'json' | 'toml'
  /** The operator's own mappings, `--host NAME=ADDR`: they win over `net.hosts`. */
  readonly hosts?: Readonly<Record<string, string>>
}

/** A policy with what `policy show`, `why` and the image request need to know of it. */
export interface LoadedPolicy extends Policy {
  /** The operator's words, before expansion. */
  readonly document: PolicyDocument
  readonly expanded: Expanded
  /** Most tokens one answer of a model may have; null is unlimited. */
  readonly maxTokens: number | null
  readonly options: LoadOptions
}

/** `source` names the file in messages. Throws PolicyLoadError (code E_POLICY_DENY) with every problem found. */
export function loadPolicy(bytes: Uint8Array, source: string, options: LoadOptions = {}): LoadedPolicy {
  const text = readSource(bytes, source)
  const toml = (options.format ?? (source.toLowerCase().endsWith('.toml') ? 'toml' : 'json')) === 'toml'
  const document = readDocument(toml ? parseToml(text) : parseJson(text), text, options.hosts ?? {})
  return policyOf(document, bytesToHex(sha256(bytes)), source, options)
}

/** A policy from an already checked document. `id` is the SHA-256 of the bytes it came from. */
export function policyOf(document: PolicyDocument, id: string, source: string, options: LoadOptions): LoadedPolicy {
  const expanded = expand(document)
  const grants = grantsOf(expanded)
  const rules = compileRules(grants)
  const decider = new Decider(
    expanded,
    rules,
    compileDeny(document),
    new Set(document.fs.write.flatMap((rule) => literalPathOf(rule) ?? [])),
    options,
  )
  const decide = (question: Question): PolicyVerdict => safely(() => decider.decide(question))
  return {
    id,
    source,
    budgets: document.budgets,
    grants,
    hosts: document.net.hosts,
    document,
    expanded,
    maxTokens: document.infer.max_tokens,
    options,
    decide,
    decideImage: (question) => withProfileHint(decide(question), question),
    mayResolve: (name) => rules.mayResolve(name) && decide({ action: 'net.dns', object: name }).allow,
  }
}

const DENY_ALL_SOURCE = 'built-in: deny everything outside'
const DENY_ALL_TEXT = JSON.stringify({ version: POLICY_VERSION })

/** What holds when nobody gave a policy: the program may read its own image, and nothing else happens. */
export function denyAllPolicy(): LoadedPolicy {
  const inner = policyOf(EMPTY_DOCUMENT, bytesToHex(sha256(utf8ToBytes(DENY_ALL_TEXT))), DENY_ALL_SOURCE, {})
  const image: PolicyVerdict = {
    allow: true,
    rule: 'built-in:image',
    reason: 'without a policy a program may read the files of its own image',
    fix: null,
  }
  return {
    ...inner,
    // What the policy could allow somewhere: `decide` still denies every host file, since only `decideImage` allows.
    grants: { fs: { read: ['/**'] } },
    decideImage: (question) => (question.action === 'fs.read' && pathSegments(question.object) !== null ? image : inner.decide(question)),
  }
}

class Decider {
  readonly #expanded: Expanded
  readonly #rules: RuleSet
  readonly #deny: DenyRules
  readonly #literalWrites: ReadonlySet<string>
  readonly #options: AlwaysDenyOptions

  constructor(expanded: Expanded, rules: RuleSet, deny: DenyRules, literalWrites: ReadonlySet<string>, options: AlwaysDenyOptions) {
    this.#expanded = expanded
    this.#rules = rules
    this.#deny = deny
    this.#literalWrites = literalWrites
    this.#options = options
  }

  decide(question: Question): PolicyVerdict {
    if (question.reach === true) return this.#reach(question)
    const never = neverReason(question)
    if (never !== null) return { allow: false, rule: 'always-deny:address', reason: never, fix: null }
    return this.#guarded(question) ?? this.#denied(question) ?? this.#allowed(question) ?? this.#nothing(question)
  }

  /** Looking is allowed through reading or through writing, each after its own deny list; it is harmless to what always-deny protects. */
  #reach(question: Question): PolicyVerdict {
    if (question.action !== 'fs.read' && question.action !== 'fs.write') return this.#nothing(question)
    const { object } = question
    const deniedRead = this.#deny.match({ action: 'fs.read', object })
    const deniedWrite = this.#deny.match({ action: 'fs.write', object })
    if (deniedRead !== null && deniedWrite !== null) return this.#denied({ action: 'fs.read', object }) ?? this.#nothing(question)
    const rule =
      deniedRead === null && deniedWrite === null
        ? this.#rules.match({ action: 'fs.read', object, reach: true })
        : this.#rules.matchReachBy(deniedRead === null ? 'fs.read' : 'fs.write', object)
    return rule === null ? this.#nothing(question) : this.#verdict(rule)
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
    const rule = this.#deny.match(question)
    return rule === null
      ? null
      : { allow: false, rule, reason: `${say(question)} is denied by ${rule}; no allow rule outweighs it`, fix: null }
  }

  #allowed(question: Question): PolicyVerdict | null {
    const rule = this.#rules.match(question)
    return rule === null ? null : this.#verdict(rule)
  }

  #verdict(pointer: string): PolicyVerdict {
    const rule = ruleAt(this.#expanded, pointer)
    return {
      allow: true,
      rule: rule?.origin ?? pointer,
      reason: `allowed by ${rule?.origin ?? pointer} ${quoted(rule?.text ?? '')}`,
      fix: null,
    }
  }

  #nothing(question: Question): PolicyVerdict {
    const near = this.#rules.nearest(question)
    const rule = near === null ? null : ruleAt(this.#expanded, near)
    const nearest = rule === null || rule.origin.startsWith('profile:') ? '' : `; the nearest is ${rule.origin} ${quoted(rule.text)}`
    return { allow: false, rule: null, reason: `no rule allows ${say(question)}${malformed(question)}${nearest}`, fix: fixFor(question) }
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

function say(question: Question): string {
  return `${question.reach === true ? 'looking at' : question.action} ${quoted(question.object)}`
}

function malformed(question: Question): string {
  const { action, object } = question
  const wrong =
    ((action === 'fs.read' || action === 'fs.write') && pathSegments(object) === null) ||
    ((action === 'net.connect' || action === 'net.listen') && parseEndpoint(object) === null)
  return wrong ? ' (it is not in canonical form)' : ''
}

/** A program that cannot read its own libraries is told which profile holds them. */
function withProfileHint(verdict: PolicyVerdict, question: Question): PolicyVerdict {
  if (verdict.allow || verdict.rule !== null || question.action !== 'fs.read') return verdict
  const name = PROFILE_NAMES.find((profile) => profileRules(profile).match(question) !== null)
  return name === undefined ? verdict : { ...verdict, reason: `${verdict.reason}; the profile \`${name}\` has it: "profiles": ["${name}"]` }
}

const compiledProfiles = new Map<string, RuleSet>()

function profileRules(name: (typeof PROFILE_NAMES)[number]): RuleSet {
  const known = compiledProfiles.get(name)
  if (known !== undefined) return known
  const rules = compileRules({ fs: { read: PROFILES[name].read } })
  compiledProfiles.set(name, rules)
  return rules
}

/** Total: whatever goes wrong inside is a denial that says so. */
function safely(decide: () => PolicyVerdict): PolicyVerdict {
  try {
    return decide()
  } catch (error) {
    return {
      allow: false,
      rule: null,
      reason: `the policy could not be evaluated: ${error instanceof Error ? error.message : 'unknown fault'}`,
      fix: null,
    }
  }
}
