import { encode } from '@authority/protocol'
import type { Charges, Clock, Question, RandomBytes } from '../vocabulary/index.ts'
import { type BlockBody, decodeBlockAt, writeAdded, writeSections } from './blocks.ts'
import { unhex } from './chain.ts'
import { type Counters, continuedCounters, freshCounters, refusesUse, takeUse } from './counters.ts'
import { refuse } from './errors.ts'
import { Fields } from './fields.ts'
import { type BoundToken, HandleTable } from './handles.ts'
import { deriveRunKey, KEY_BYTES, keyIdOf } from './keys.ts'
import { MAX_TIME_MS } from './limits.ts'
import type { Mac } from './mac.ts'
import { mintToken } from './mint.ts'
import { BlockRegistry, type LiveBlock } from './registry.ts'
import { type Grant, readGrant } from './restriction.ts'
import { type CompileRules, type Rules, rulesOf } from './rules.ts'
import { sectionsOf } from './sections.ts'
import { gateTime } from './time.ts'
import { type BlockPlace, type Layout, MAX_TOKEN_TEXT, NONCE_BYTES, RUN_BYTES } from './token.ts'
import type { CapabilityStage, CapabilityVerdict, Grants } from './types.ts'
import { type Verified, VerifiedCache } from './verified-cache.ts'
import { assertDelegation, assertInTime, narrowed, outOfTime, type RunKey, type Validity, verifyToken } from './verify.ts'

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
  readonly #verified = new VerifiedCache()
  readonly #runRules: Rules
  readonly #runDigest: Uint8Array
  readonly #keyBytes: Uint8Array
  #key: RunKey | null
  /** Handle 0 of every session. */
  #own: BoundToken

  constructor(options: CapabilityOptions) {
    this.#options = options
    this.#now = gateTime(options.clock)
    const run = unhex(options.run, RUN_BYTES)
    if (run === null) throw new RangeError('a run id is 32 hex digits')
    const secret = options.secret ?? options.random(KEY_BYTES)
    this.#keyBytes = deriveRunKey(secret, options.installation, run)
    if (options.secret === undefined) secret.fill(0)
    this.#key = { run, keyId: keyIdOf(this.#keyBytes), bytes: this.#keyBytes }
    for (const id of options.revoked ?? []) this.#registry.revoke(id)
    this.#runRules = options.compile(options.grants)
    const granted = sectionsOf(options.grants)
    this.#runDigest = options.mac.digest(encode([...writeSections(granted), ...writeAdded(granted)]))
    this.runToken = this.#mint({ kind: 'run-grant', digest: this.#runDigest }, { notBefore: Math.floor(this.#now()), expires: MAX_TIME_MS })
    this.#own = this.#verify(this.runToken)
    this.#registry.hold(this.#own.blocks)
  }

  mint(grant: Grant, validity: Validity): string {
    const body = readGrant(grant)
    rulesOf(body, this.#compile, this.#runRules)
    return this.#mint(body, validity)
  }

  usesTaken(): ReadonlyMap<string, number | null> {
    return new Map([...(this.#options.usedBefore ?? []), ...this.#registry.uses()])
  }

  bind(session: string, token: string): number {
    this.#handles.assertRoom(session)
    const bound = this.#verify(token)
    this.#registry.hold(bound.blocks)
    return this.#handles.add(session, bound)
  }

  release(session: string, handle: number): void {
    const token = this.#handles.remove(session, handle)
    if (token === undefined) throw refuse('E_CAP_INVALID', `this session holds no capability handle ${handle}`)
    this.#registry.letGo(token.blocks)
  }

  endSession(session: string): void {
    for (const token of this.#handles.removeSession(session)) this.#registry.letGo(token.blocks)
  }

  check(session: string, handle: number, questions: readonly Question[], again?: true): CapabilityVerdict {
    if (this.#key === null) return refusal('E_CAP_REVOKED', 'the run has ended, and its capabilities with it', null)
    const token = handle === 0 ? this.#own : this.#handles.find(session, handle)
    if (token === undefined) return refusal('E_CAP_INVALID', `this session holds no capability handle ${handle}`, null)
    if (token.revokedBy !== null) return refusal('E_CAP_REVOKED', `block ${token.revokedBy} of the token was revoked`, token.revokedBy)
    const late = outOfTime(token.validity, this.#now())
    if (late !== null) return refusal('E_CAP_EXPIRED', `the token: ${late}`, null)
    for (const question of questions) {
      const outside = token.blocks.findIndex((block) => !allows(block.rules, question))
      if (outside >= 0) return notCovered(token, handle, question, outside)
    }
    return again === true || questions.length === 0 ? allowed(token) : this.#use(token)
  }

  revokedAmong(blocks: readonly string[]): string | null {
    return this.#registry.revokedAmong(blocks)
  }

  revoke(blockId: string): void {
    if (unhex(blockId, 16) === null)
      throw refuse('E_NOT_FOUND', 'a block id is 32 lower-case hex digits', '`authority cap show` and the audit log name the ids.')
    this.#registry.revoke(blockId)
    for (const token of [this.#own, ...this.#handles.all()])
      if (token.blocks.some((block) => block.id === blockId)) token.revokedBy ??= blockId
  }

  end(): void {
    this.#keyBytes.fill(0)
    this.#key = null
    this.#verified.clear()
  }

  /** All of the token's blocks have room for one more use, or none is charged. */
  #use(token: BoundToken): CapabilityVerdict {
    const now = this.#options.clock.monotonicMs()
    for (const block of token.blocks) {
      const reason = refusesUse(block.body, block.counters, now)
      if (reason !== null) return refusal('E_CAP_RATE', `block ${block.index} of the token: ${reason}`, block.id)
    }
    for (const { body, counters } of token.blocks) takeUse(body, counters, now)
    return allowed(token)
  }

  #verify(text: string): BoundToken {
    if (this.#key === null) throw refuse('E_CAP_REVOKED', 'the run has ended, and its capabilities with it')
    // Size before anything else, the hash included.
    const hash = text.length > MAX_TOKEN_TEXT ? '' : this.#options.mac.fingerprint(text)
    const known = this.#verified.find(hash)
    const now = this.#now()
    if (known?.blocks.every((block) => block.known)) {
      this.#assertLive(known.validity, known.ids, now)
      return bound(known)
    }
    const verified = this.#genuine(text, this.#key, now)
    this.#verified.add(hash, verified)
    return bound(verified)
  }

  /** The order of research security.md 6.1: … MAC chain → run → time → revocation → payloads. */
  #genuine(text: string, key: RunKey, now: number): Verified {
    const { token, ids } = verifyToken(text, key, this.#options.mac)
    const header = { notBefore: token.notBefore, expires: token.expires }
    this.#assertLive(header, ids, now)
    const found = this.#readBlocks(token, ids, header)
    const { validity } = found.blocks.at(-1) ?? { validity: header }
    assertInTime(validity, now)
    for (const block of found.fresh) block.rules = this.#rulesOf(block)
    this.#keep(found, now)
    return { validity, ids, blocks: found.blocks }
  }

  #assertLive(validity: Validity, ids: readonly string[], now: number): void {
    assertInTime(validity, now)
    const revoked = this.#registry.revokedAmong(ids)
    if (revoked !== null) throw refuse('E_CAP_REVOKED', `capability token: its block ${revoked} was revoked`)
  }

  /** The same objects for all tokens that share a block: an id stands for the block and all before it, to the byte. They hold its counts. */
  #readBlocks({ bytes, blocks: places }: Layout, ids: readonly string[], header: Validity): ReadBlocks {
    const fields = new Fields(bytes)
    const blocks: LiveBlock[] = []
    const fresh: LiveBlock[] = []
    let parent: LiveBlock | null = null
    for (let index = 0; index < places.length; index++) {
      const id = ids[index] as string
      let block = this.#registry.find(id)
      if (block === undefined) {
        const body = decodeBlockAt(fields, places[index] as BlockPlace, index)
        const validity = narrowed(parent?.validity ?? header, body)
        block = { id, index, parent, body, rules: NOTHING, counters: NOT_COUNTED, validity, holders: 0, known: false }
        fresh.push(block)
      }
      blocks.push(block)
      parent = block
    }
    assertDelegation(blocks)
    return { blocks, fresh }
  }

  /** Every pattern was looked at: from here on the blocks are remembered and counted. */
  #keep({ blocks, fresh }: ReadBlocks, now: number): void {
    if (fresh.length === 0) return
    this.#registry.reserveRoom(blocks, now)
    // All of them: room may have been made by letting go of some this token has.
    for (const block of blocks) this.#registry.add(block)
    for (const block of fresh) {
      const { id, body } = block
      block.counters = this.#countersOf(id, body)
      if (body.budget !== undefined) this.#options.declareBudget(`block:${id}`, body.budget)
    }
  }

  #countersOf(id: string, body: BlockBody): Counters {
    const { usedBefore, onCounting, clock } = this.#options
    if (usedBefore === undefined) return freshCounters(body)
    const used = usedBefore.get(id)
    // Uses that are not known stay so: what an earlier process could not say, this one cannot learn.
    if (body.uses !== undefined && used !== null) onCounting?.(id)
    return continuedCounters(body, used === undefined ? 0 : used, clock.monotonicMs())
  }

  #rulesOf({ body, index }: LiveBlock): Rules {
    if (body.kind === 'run-grant' && !this.#options.mac.equal(body.digest, this.#runDigest))
      throw refuse('E_CAP_INVALID', `capability token: block ${index} refers to grants this run does not have`)
    try {
      return rulesOf(body, this.#compile, this.#runRules)
    } catch (error) {
      throw refuse(
        'E_CAP_INVALID',
        `capability token: block ${index}: ${error instanceof Error ? error.message : 'a pattern cannot be used'}`,
      )
    }
  }

  get #compile(): CompileRules {
    return this.#options.compile
  }

  #mint(body: Parameters<typeof mintToken>[3], validity: Validity): string {
    if (this.#key === null) throw refuse('E_CAP_REVOKED', 'the run has ended, and its capabilities with it')
    const { run, keyId, bytes } = this.#key
    return mintToken(this.#options.mac, bytes, { run, keyId, nonce: this.#options.random(NONCE_BYTES), ...validity }, body)
  }
}

/** The blocks of one token, root first, and those of them the registry does not know. */
interface ReadBlocks {
  readonly blocks: readonly LiveBlock[]
  readonly fresh: readonly LiveBlock[]
}

/** Until a block is kept. */
const NOTHING: Rules = { allows: () => false }
const NOT_COUNTED: Counters = { usesLeft: 0, arrival: 0 }

function bound({ validity, ids, blocks }: Verified): BoundToken {
  return { validity, ids, blocks, revokedBy: null }
}

/** A matcher that fails allows nothing. */
function allows(rules: Rules, question: Question): boolean {
  try {
    return rules.allows(question) === true
  } catch {
    return false
  }
}

function allowed(token: BoundToken): CapabilityVerdict {
  return { allow: true, blocks: token.ids }
}

function notCovered({ blocks }: BoundToken, handle: number, { action, object }: Question, index: number): CapabilityVerdict {
  const { id, body } = blocks[index] as LiveBlock
  // The run's own capability, also presented as a token: it grants what the policy could allow, so the policy says why not, and what would.
  if (handle === 0 || (body.kind === 'run-grant' && blocks.length === 1))
    return refusal('E_CAP_MISSING', `the run's own capability does not cover ${action} on ${object}`, id)
  return refusal('E_CAP_SCOPE', `block ${index} of the token does not allow ${action} on ${object}`, id)
}

function refusal(code: Extract<CapabilityVerdict, { allow: false }>['code'], reason: string, block: string | null): CapabilityVerdict {
  return { allow: false, code, reason, block }
}
