import { encode } from '@authority/protocol'
import type { Charges, Clock, Question, RandomBytes } from '../vocabulary/index.ts'
import { type BlockBody, type Limits, writeAdded, writeSections } from './blocks.ts'
import { readBodies } from './bodies.ts'
import { chainValueOf, unhex } from './chain.ts'
import { type Counters, continuedCounters, freshCounters, takeRefusals, takeUses } from './counters.ts'
import { refuse } from './errors.ts'
import { HandleTable } from './handles.ts'
import { deriveRunKey, KEY_BYTES, keyIdOf } from './keys.ts'
import { KnownRoots } from './known-roots.ts'
import { MAX_TIME_MS } from './limits.ts'
import type { Mac } from './mac.ts'
import { mintToken } from './mint.ts'
import { BlockRegistry, type CountedBlock, countsSomething } from './registry.ts'
import { type Grant, readGrant } from './restriction.ts'
import { type CompileRules, isPlain, plainAllows, type Rules, rulesOf } from './rules.ts'
import { sectionsOf } from './sections.ts'
import { gateTime } from './time.ts'
import { layoutOf, NONCE_BYTES, RUN_BYTES, readText } from './token.ts'
import type { CapabilityStage, CapabilityVerdict, Grants } from './types.ts'
import { VerifiedCache } from './verified-cache.ts'
import { BlockNames, VerifiedToken } from './verified-token.ts'
import { assertDelegation, assertInTime, narrowed, outOfTime, type RunKey, type Validity, verifyLayout } from './verify.ts'

export interface CapabilityOptions {
  /** Run id, 32 hex digits. */
  readonly run: string
  readonly installation: string
  /** What the policy could allow: the run's own capability. */
  readonly grants: Grants
  readonly compile: CompileRules
  readonly clock: Clock
  readonly random: RandomBytes
  readonly mac: Mac
  /** 32 bytes kept across restarts (`gate serve`); left out: random, and gone with this process. */
  readonly secret?: Uint8Array
  /** Block ids revoked before, from the audit log. */
  readonly revoked?: Iterable<string>
  /** Uses by block id, as the processes of this gate before this one counted them (null: not known). With it, rates begin with their burst taken. */
  readonly usedBefore?: ReadonlyMap<string, number | null>
  /** Told when a block that counts its uses is bound first, in any process: from here on only `usesTaken` knows. */
  readonly onCounting?: (block: string) => void
  /** Told once for each block that has a budget of its own, before its first use: `block:<id>`. */
  readonly declareBudget: (account: string, limits: Charges) => void
}

/** The operator's side, beside what the pipeline knows. */
export interface OperatorCapabilities extends CapabilityStage {
  /** A token with grants of its own (policy still decides too). Times in ms since the epoch. Throws E_CAP_INVALID. */
  mint(grant: Grant, validity: Validity): string
  /** Uses by block id, those of earlier processes included: to be kept for the next one. */
  usesTaken(): ReadonlyMap<string, number | null>
}

export function createCapabilityStage(options: CapabilityOptions): OperatorCapabilities {
  return new HmacCapabilities(options)
}

class HmacCapabilities implements OperatorCapabilities {
  readonly runToken: string
  readonly #options: CapabilityOptions
  readonly #now: () => number
  readonly #registry = new BlockRegistry()
  readonly #handles = new HandleTable()
  readonly #verified: VerifiedCache
  readonly #roots = new KnownRoots()
  readonly #runRules: Rules
  readonly #runDigest: Uint8Array
  readonly #keyBytes: Uint8Array
  #key: RunKey | null
  /** Handle 0 of every session. */
  #own: VerifiedToken

  constructor(options: CapabilityOptions) {
    this.#options = options
    this.#now = gateTime(options.clock)
    const run = unhex(options.run, RUN_BYTES)
    if (run === null) throw new RangeError('a run id is 32 hex digits')
    const secret = options.secret ?? options.random(KEY_BYTES)
    this.#keyBytes = deriveRunKey(secret, options.installation, run)
    if (options.secret === undefined) secret.fill(0)
    this.#key = { run, keyId: keyIdOf(this.#keyBytes), bytes: this.#keyBytes }
    this.#verified = new VerifiedCache(options.mac, this.#keyBytes)
    for (const id of options.revoked ?? []) this.#registry.revoke(id)
    this.#runRules = options.compile(options.grants)
    const granted = sectionsOf(options.grants)
    this.#runDigest = options.mac.digest(encode([...writeSections(granted), ...writeAdded(granted)]))
    this.runToken = this.#mint({ kind: 'run-grant', digest: this.#runDigest }, { notBefore: Math.floor(this.#now()), expires: MAX_TIME_MS })
    this.#own = this.#verify(this.runToken, this.#now())
    this.#hold(this.#own, this.#now())
  }

  mint(grant: Grant, validity: Validity): string {
    const body = readGrant(grant)
    rulesOf(body, this.#options.compile, this.#runRules)
    return this.#mint(body, validity)
  }

  usesTaken(): ReadonlyMap<string, number | null> {
    return new Map([...(this.#options.usedBefore ?? []), ...this.#registry.uses()])
  }

  bind(session: string, token: string): number {
    this.#handles.assertRoom(session)
    const now = this.#now()
    const verified = this.#verify(token, now)
    this.#hold(verified, now)
    return this.#handles.add(session, verified)
  }

  release(session: string, handle: number): void {
    const token = this.#handles.remove(session, handle)
    if (token === undefined) throw refuse('E_CAP_INVALID', `this session holds no capability handle ${handle}`)
    this.#registry.letGo(token)
  }

  endSession(session: string): void {
    for (const token of this.#handles.removeSession(session)) this.#registry.letGo(token)
  }

  check(session: string, handle: number, questions: readonly Question[], again?: true): CapabilityVerdict {
    if (this.#key === null) return refusal('E_CAP_REVOKED', 'the run has ended, and its capabilities with it', null)
    const token = handle === 0 ? this.#own : this.#handles.find(session, handle)
    if (token === undefined) return refusal('E_CAP_INVALID', `this session holds no capability handle ${handle}`, null)
    if (token.revokedBy !== null) return refusal('E_CAP_REVOKED', `block ${token.revokedBy} of the token was revoked`, token.revokedBy)
    const late = outOfTime(token.validity, this.#now())
    if (late !== null) return refusal('E_CAP_EXPIRED', `the token: ${late}`, null)
    for (const question of questions) {
      const outside = this.#outside(token, question)
      if (outside >= 0) return this.#tooManyRefused(token) ?? notCovered(token, handle, question, outside)
    }
    return again === true || questions.length === 0 || token.counted.length === 0 ? token.names : this.#use(token)
  }

  revokedAmong(blocks: readonly string[]): string | null {
    return this.#registry.revokedAmong(blocks)
  }

  revoke(blockId: string): void {
    if (unhex(blockId, 16) === null)
      throw refuse('E_NOT_FOUND', 'a block id is 32 lower-case hex digits', '`authority cap show` and the audit log name the ids.')
    this.#registry.revoke(blockId)
    for (const token of [this.#own, ...this.#handles.all()]) if (token.names.blocks.includes(blockId)) token.revokedBy ??= blockId
  }

  end(): void {
    this.#keyBytes.fill(0)
    this.#key = null
    this.#verified.clear()
    this.#roots.clear()
  }

  /** The first block that does not allow it, or −1. */
  #outside({ bodies, rules }: VerifiedToken, question: Question): number {
    for (let index = 0; index < bodies.length; index++) {
      // Few tokens have any: what lies beyond an array's end is slow to ask for.
      const made = index < rules.length ? (rules[index] ?? null) : null
      if (!allows(bodies[index] as BlockBody, made, question, this.#options.compile)) return index
    }
    return -1
  }

  #use(token: VerifiedToken): CapabilityVerdict {
    const full = takeUses(token.counted, this.#options.clock.monotonicMs())
    return full === null ? token.names : refusal('E_CAP_RATE', full.reason, full.block)
  }

  #tooManyRefused(token: VerifiedToken): CapabilityVerdict | null {
    const full = token.counted.length === 0 ? null : takeRefusals(token.counted, this.#options.clock.monotonicMs())
    return full === null ? null : refusal('E_CAP_RATE', full.reason, full.block)
  }

  #verify(text: string, now: number): VerifiedToken {
    if (this.#key === null) throw refuse('E_CAP_REVOKED', 'the run has ended, and its capabilities with it')
    const bytes = readText(text)
    const fingerprint = this.#verified.fingerprint(bytes)
    const known = this.#verified.find(bytes, fingerprint)
    if (known?.counted.every((block) => block.known)) {
      this.#assertLive(known.validity, known.names, now)
      return known
    }
    const verified = this.#genuine(bytes, this.#key, now)
    this.#verified.add(verified, fingerprint)
    return verified
  }

  /** The order of research security.md 6.1: … MAC chain → run → time → revocation → payloads. */
  #genuine(bytes: Uint8Array, key: RunKey, now: number): VerifiedToken {
    const token = layoutOf(bytes)
    const root = this.#roots.find(token)
    const chain = verifyLayout(token, key, this.#options.mac, root?.value)
    const rootValue = root === undefined && this.#roots.sawBefore(token) ? chainValueOf(chain.values, 0).slice() : null
    const names = new BlockNames(this.#options.mac, chain)
    this.#assertLive(token, names, now)
    const bodies = readBodies(token, this.#options.compile.plain, root?.body)
    let validity: Validity = token
    let counted = NONE
    for (let index = 0; index < bodies.length; index++) {
      const body = bodies[index] as BlockBody
      validity = narrowed(validity, body)
      if (countsSomething(body)) counted = [...counted, this.#countedBlock(names.blocks.slice(0, index + 1), body, validity)]
    }
    assertDelegation(bodies)
    assertInTime(validity, now)
    let rules = NO_RULES
    for (let index = 0; index < bodies.length; index++) {
      const made = this.#rulesOf(bodies[index] as BlockBody, index)
      if (made !== null) rules = withRules(rules, index, made)
    }
    if (rootValue !== null) this.#roots.add(token, rootValue, bodies[0] as BlockBody)
    return new VerifiedToken(bytes, names, bodies, rules, validity, counted)
  }

  #assertLive(validity: Validity, names: BlockNames, now: number): void {
    assertInTime(validity, now)
    const revoked = this.#registry.hasRevoked ? this.#registry.revokedAmong(names.blocks) : null
    if (revoked !== null) throw refuse('E_CAP_REVOKED', `capability token: its block ${revoked} was revoked`)
  }

  /** The same object for all tokens that share the block: an id stands for the block and all before it, to the byte. It holds the counts. */
  #countedBlock(path: readonly string[], limits: BlockBody, { expires }: Validity): CountedBlock {
    const index = path.length - 1
    const id = path[index] as string
    return this.#registry.find(id) ?? { id, path, index, limits, expires, counters: null, holders: 0, known: false }
  }

  /** From here on its blocks are remembered and counted. */
  #hold(token: VerifiedToken, now: number): void {
    for (const block of this.#registry.hold(token, now)) {
      const { id, limits } = block
      block.counters = this.#countersOf(id, limits)
      if (limits.budget !== undefined) this.#options.declareBudget(`block:${id}`, limits.budget)
    }
  }

  #countersOf(id: string, limits: Limits): Counters {
    const { usedBefore, onCounting, clock } = this.#options
    if (usedBefore === undefined) return freshCounters(limits)
    const used = usedBefore.get(id)
    // Uses that are not known stay so: what an earlier process could not say, this one cannot learn.
    if (limits.uses !== undefined && used !== null) onCounting?.(id)
    return continuedCounters(limits, used === undefined ? 0 : used, clock.monotonicMs())
  }

  /** A pattern that is none is found here, before the token is bound; what plainly is one waits until it is asked. */
  #rulesOf(body: BlockBody, index: number): Rules | null {
    if (body.kind === 'run-grant' && !this.#options.mac.equal(body.digest, this.#runDigest))
      throw refuse('E_CAP_INVALID', `capability token: block ${index} refers to grants this run does not have`)
    if (isPlain(body)) return null
    try {
      return rulesOf(body, this.#options.compile, this.#runRules)
    } catch (error) {
      throw refuse(
        'E_CAP_INVALID',
        `capability token: block ${index}: ${error instanceof Error ? error.message : 'a pattern cannot be used'}`,
      )
    }
  }

  #mint(body: Parameters<typeof mintToken>[3], validity: Validity): string {
    if (this.#key === null) throw refuse('E_CAP_REVOKED', 'the run has ended, and its capabilities with it')
    const { run, keyId, bytes } = this.#key
    return mintToken(this.#options.mac, bytes, { run, keyId, nonce: this.#options.random(NONCE_BYTES), ...validity }, body)
  }
}

const NONE: readonly CountedBlock[] = []
const NO_RULES: readonly (Rules | null)[] = []

function withRules(rules: readonly (Rules | null)[], index: number, made: Rules): readonly (Rules | null)[] {
  const all = [...rules]
  while (all.length < index) all.push(null)
  all.push(made)
  return all
}

/** A matcher that fails allows nothing. */
function allows(body: BlockBody, rules: Rules | null, question: Question, compile: CompileRules): boolean {
  try {
    return (rules === null ? plainAllows(body, question, compile) : rules.allows(question)) === true
  } catch {
    return false
  }
}

function notCovered({ bodies, names }: VerifiedToken, handle: number, { action, object }: Question, index: number): CapabilityVerdict {
  const id = names.blocks[index] ?? null
  // The run's own capability, also presented as a token: it grants what the policy could allow, so the policy says why not, and what would.
  if (handle === 0 || (bodies[index]?.kind === 'run-grant' && bodies.length === 1))
    return refusal('E_CAP_MISSING', `the run's own capability does not cover ${action} on ${object}`, id)
  return refusal('E_CAP_SCOPE', `block ${index} of the token does not allow ${action} on ${object}`, id)
}

function refusal(code: Extract<CapabilityVerdict, { allow: false }>['code'], reason: string, block: string | null): CapabilityVerdict {
  return { allow: false, code, reason, block }
}
