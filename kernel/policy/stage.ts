/** The policy stage: always-deny ▸ deny ▸ ask ▸ allow ▸ default deny. A loaded policy never changes; every decision is pure. */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import { compileRules, pathSegments, type RuleSet } from '../patterns/index.ts'
import type { Question } from '../vocabulary/index.ts'
import type { AlwaysDenyOptions } from './always-deny.ts'
import { Decider } from './decider.ts'
import { EMPTY_DOCUMENT, type PolicyDocument } from './document.ts'
import { type Expanded, expand, grantsOf } from './expand.ts'
import { DEFAULT_ASK_TIMEOUT_MS } from './limits.ts'
import { PROFILE_NAMES, PROFILES } from './profiles.ts'
import { POLICY_VERSION } from './schema.ts'
import type { Policy, PolicyVerdict } from './types.ts'

export interface LoadOptions extends AlwaysDenyOptions {
  /** Left out: TOML when the source's name ends in `.toml`, else JSON. */
  readonly format?: 'json' | 'toml'
  /** The operator's own mappings, `--host NAME=ADDR`: they win over `net.hosts`. */
  readonly hosts?: Readonly<Record<string, string>>
  /** Content of a file beside this one, for `include`. Throws when there is none. Left out: nothing can be included. */
  readonly include?: (name: string) => Uint8Array
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

/** A policy from an already checked document. `id` is the SHA-256 of the bytes it came from. */
export function policyOf(document: PolicyDocument, id: string, source: string, options: LoadOptions): LoadedPolicy {
  const expanded = expand(document)
  const grants = grantsOf(expanded)
  const decider = new Decider(document, expanded, options)
  const decide = (question: Question): PolicyVerdict => decideSafely(decider, question)
  return {
    id,
    source,
    budgets: document.budgets,
    grants,
    hosts: document.net.hosts,
    document,
    expanded,
    maxTokens: document.infer.max_tokens,
    askTimeoutMs: document.ask.timeout_ms ?? DEFAULT_ASK_TIMEOUT_MS,
    options,
    decide,
    decideImage: (question) => withoutAsking(withProfileHint(decide(question), question)),
    mayResolve: (name) => decider.mayResolve(name) && decide({ action: 'net.dns', object: name }).allow,
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

/** Files of the image are read through the guest's own kernel, which cannot wait for a person: what would be asked is denied. */
function withoutAsking(verdict: PolicyVerdict): PolicyVerdict {
  if (verdict.ask !== true) return verdict
  const { ask: _, ...denied } = verdict
  return { ...denied, reason: `${verdict.reason}; files of the image are not asked about` }
}

/** Total: whatever goes wrong inside is a denial that says so. */
function decideSafely(decider: Decider, question: Question): PolicyVerdict {
  try {
    return decider.decide(question)
  } catch (error) {
    return {
      allow: false,
      rule: null,
      reason: `the policy could not be evaluated: ${error instanceof Error ? error.message : 'unknown fault'}`,
      fix: null,
    }
  }
}
