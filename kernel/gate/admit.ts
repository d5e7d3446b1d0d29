import type { AuthorityError } from '@authority/protocol'
import { LogBytesExceeded } from '../audit/index.ts'
import { classAccount, isSharedAccount, RUN_ACCOUNT } from '../budget/index.ts'
import type { AccountName, ReserveResult } from '../budget/types.ts'
import type { EffectResult, Permit, ResolvedObject } from '../effects/contract.ts'
import type { Charges, OperationName, Question } from '../vocabulary/index.ts'
import { logRefusal } from './budget-refusal.ts'
import { type FirstDenial, LookLedger } from './coalesce.ts'
import { abortError, EffectRun, type Held, loggedOf, type Surroundings } from './execute.ts'
import { type Allowed, claimedOf, isGuestEnforced, Judge } from './judge.ts'
import { limitsLogBytes, worstLogBytes } from './log-charge.ts'
import { OpenEffects } from './open-effects.ts'
import { signalOf } from './request-abort.ts'
import { Stopwatch } from './stopwatch.ts'
import { clipText } from './text.ts'
import type { AdmitRequest, Gate, GateStatistics, LookRequest, Stages } from './types.ts'

/**
 * The one way out. Every effect of every transport takes these steps in this order:
 *
 *   decode → capability → policy → budget → audit INTENT (durable) → execute → audit OUTCOME (durable) → reply
 *
 * Decoding is the caller's: `effect` holds arguments checked against the operations table. What was asked is decided before anything is looked at;
 * what that turned out to be is decided again.
 */
export class AdmitPipeline implements Gate, Surroundings {
  readonly stages: Stages
  private readonly nowUs: (() => number) | undefined
  readonly judge: Judge
  private readonly looks: LookLedger
  private readonly claimedLooks: LookLedger
  private readonly accounts = new WeakMap<readonly string[], Map<string, readonly AccountName[]>>()
  /** A block's limits are declared before it is asked first, and stay. */
  private readonly logLimited = new WeakMap<readonly string[], boolean>()
  private effects = 0
  readonly open = new OpenEffects()

  /** `nowUs`: the clock stages are timed with, µs; without one records say nothing of it. */
  constructor(stages: Stages, nowUs?: () => number) {
    this.stages = stages
    this.nowUs = nowUs
    this.judge = new Judge(stages)
    this.looks = new LookLedger(stages.audit, false)
    this.claimedLooks = new LookLedger(stages.audit, true)
  }

  async admit(request: AdmitRequest): Promise<EffectResult> {
    const { effect } = request
    const { audit } = this.stages
    const watch = this.nowUs === undefined ? NO_WATCH : new Stopwatch(this.nowUs)
    /** What is reserved for an effect whose INTENT is not durable: nothing of it has happened. */
    let unbegun: Held | null = null
    let run: EffectRun | null = null
    try {
      // Most answers are there at once, and waiting for one costs more than making it.
      let asked = this.judge.decide(request, effect.requested, effect.requestedText, 'first', watch)
      if (asked instanceof Promise) asked = await asked
      let object = this.find(request, asked, () => signalOf(request.signal))
      if (object instanceof Promise) object = await object
      let allowed = this.judge.decide(request, object.questions, object.object, 'again', watch)
      if (allowed instanceof Promise) allowed = await allowed
      watch.lap('policy')
      let held = this.reserve(request, object, allowed)
      if (held instanceof Promise) held = await held
      unbegun = held
      watch.lap('budget')
      const intent = this.recordIntent(request, object, allowed, held)
      await audit.durable()
      unbegun = null
      watch.lap('intent')
      const stop = this.withdrawn(request, object.questions, intent)
      if (stop !== null) throw await this.refuseStarted(intent, held, stop)
      this.effects += 1
      run = new EffectRun(this, request, { intent, object, allowed, held }, watch)
      let result = run.execute()
      if (result instanceof Promise) result = await result
      run.recordOutcome(result)
      await audit.durable()
      return result
    } catch (error) {
      throw await this.failed(request, unbegun, run, error)
    } finally {
      if (run === null) effect.release()
      else run.release()
    }
  }

  /** Looking takes the same decisions, synchronously where the effect is; it is counted and recorded together with others. */
  look(request: LookRequest): EffectResult | Promise<EffectResult> {
    const { effect } = request
    let pending = false
    const release = (): void => effect.release()
    try {
      const asked = this.judge.decideLook(request, effect.requested, effect.requestedText, 'first')
      const object = this.find(request, asked, () => NEVER)
      const result = object instanceof Promise ? object.then((found) => this.finishLook(request, found)) : this.finishLook(request, object)
      if (!(result instanceof Promise)) return result
      pending = true
      return result.finally(release)
    } finally {
      if (!pending) release()
    }
  }

  /** Writes what was counted since the last time; `all` at the end of a run, where there is no next time. Throws E_AUDIT. */
  flush(all = false): void {
    this.looks.flush()
    this.claimedLooks.flush()
    this.judge.denials.flush(all)
  }

  /** After a revocation and after another policy took over: what they took away is closed now, and resolves when that is on record. */
  endWithdrawn(): Promise<void> {
    return this.open.endWithdrawn()
  }

  get statistics(): GateStatistics {
    const looks = this.looks.total + this.claimedLooks.total
    return { effects: this.effects, denials: this.judge.denials.total, looks, openLeases: this.open.size }
  }

  get firstDenials(): readonly FirstDenial[] {
    return this.judge.denials.first
  }

  get latched(): string | null {
    return this.stages.audit.latched
  }

  private find(request: LookRequest, { rule }: Allowed, signal: () => AbortSignal): ResolvedObject | Promise<ResolvedObject> {
    try {
      const object = request.effect.resolve(signal)
      return object instanceof Promise ? object.catch((error: unknown) => this.notFound(request, rule, error)) : object
    } catch (error) {
      return this.notFound(request, rule, error)
    }
  }

  /** What is not there is told as well: that it was asked for is counted as a look. */
  private notFound(request: LookRequest, rule: string | null, error: unknown): never {
    const told = this.judge.refusedByEffect(request, error)
    if (told === error) this.countLook(request, rule, request.effect.requestedText)
    throw told
  }

  private reserve(request: AdmitRequest, object: ResolvedObject, allowed: Allowed): Held | Promise<Held> {
    const { budget } = this.stages
    const accounts = this.accountsOf(request.operation, allowed.blocks)
    const log_bytes = this.limitsLog(allowed.blocks) ? worstLogBytes(request, object, allowed) : 0
    const { moved, rest } = this.worstCase(request, accounts)
    const work = budget.reserveShared(accounts, log_bytes === 0 && isEmpty(rest) ? ONE_CALL : { ...ONE_CALL, log_bytes, ...rest })
    if (!(work instanceof Promise) && work.ok && moved.bytes === 0) return { work: work.reservation, lease: null, intentBytes: 0 }
    return this.reserveBytes(request, object, accounts, moved, work)
  }

  /** Bytes are a reservation of their own: a handle or stream takes it over. */
  private worstCase({ effect }: AdmitRequest, accounts: readonly AccountName[]): { readonly moved: Charges; readonly rest: Charges } {
    const worst = effect.worstCase((dimension) => this.stages.budget.availableShared(accounts, dimension))
    const { bytes = 0, bytes_in = 0, bytes_out = 0, bytes_written = 0, ...rest } = worst
    return { moved: { bytes, bytes_in, bytes_out, bytes_written }, rest }
  }

  private async reserveBytes(
    request: AdmitRequest,
    object: ResolvedObject,
    accounts: readonly AccountName[],
    moved: Charges,
    reserved: ReserveResult | Promise<ReserveResult>,
  ): Promise<Held> {
    const { budget } = this.stages
    const work = reserved instanceof Promise ? await reserved : reserved
    if (!work.ok) throw await this.judge.refuseBudget(request, object.object, work)
    if (moved.bytes === 0) return { work: work.reservation, lease: null, intentBytes: 0 }
    try {
      let lease = budget.reserveShared(accounts, moved)
      if (lease instanceof Promise) lease = await lease
      // Other runs took of it since it was looked at; what is left now may do.
      if (!lease.ok && isSharedAccount(lease.account)) lease = await budget.reserveShared(accounts, this.worstCase(request, accounts).moved)
      if (lease.ok) return { work: work.reservation, lease: lease.reservation, intentBytes: 0 }
      budget.void(work.reservation)
      throw await this.judge.refuseBudget(request, object.object, lease)
    } catch (error) {
      budget.void(work.reservation)
      throw error
    }
  }

  /** Who pays. A token keeps the list of its blocks as long as it lives. */
  private accountsOf(operation: OperationName, blocks: readonly string[]): readonly AccountName[] {
    const known = this.accounts.get(blocks) ?? new Map<string, readonly AccountName[]>()
    return known.get(operation) ?? this.newAccounts(operation, blocks, known)
  }

  private newAccounts(
    operation: OperationName,
    blocks: readonly string[],
    known: Map<string, readonly AccountName[]>,
  ): readonly AccountName[] {
    const accounts = Object.freeze([RUN_ACCOUNT, classAccount(operation), ...blocks.map((block) => `block:${block}`)])
    this.accounts.set(blocks, known.set(operation, accounts))
    return accounts
  }

  private limitsLog(blocks: readonly string[]): boolean {
    const known = this.logLimited.get(blocks)
    if (known !== undefined) return known
    const limited = limitsLogBytes(this.stages.budget, blocks)
    this.logLimited.set(blocks, limited)
    return limited
  }

  private recordIntent(request: AdmitRequest, object: ResolvedObject, allowed: Allowed, held: Held): number {
    const { audit, policy } = this.stages
    const { work, lease } = held
    const before = audit.frameBytes
    // Always the same members, absent ones undefined: of objects made by spreading, JSON.stringify takes its slow way.
    const intent = audit.append({
      type: 'INTENT',
      op: request.operation,
      session: request.subject.session,
      action: object.questions[0]?.action ?? null,
      object: clipText(object.object),
      requested: clipText(request.effect.requestedText),
      rule: allowed.rule,
      policy: policy.id,
      blocks: allowed.blocks,
      accounts: work.accounts,
      reserve: lease === null ? work.charges : { ...work.charges, ...lease.charges },
      args: request.argsBytes === undefined ? undefined : audit.commit(request.argsBytes),
      claimed: claimedOf(request),
    })
    held.intentBytes = audit.frameBytes - before
    return intent
  }

  /**
   * The world moved while the INTENT was written: a revocation that was acknowledged since must hold, and a cancelled request must not start.
   * Synchronous up to the effect's first step, so that nothing can move in between.
   */
  private withdrawn(request: AdmitRequest, questions: readonly Question[], record: number): AuthorityError | null {
    return this.judge.withdrawn(request, questions, record) ?? (request.signal.aborted ? abortError(request.signal) : null)
  }

  private async refuseStarted(intent: number, held: Held, stop: AuthorityError): Promise<AuthorityError> {
    const captured = loggedOf(held, undefined, false) ?? {}
    this.stages.budget.settle(held.work, captured)
    if (held.lease !== null) this.stages.budget.void(held.lease)
    this.stages.audit.append({ type: 'OUTCOME', intent, status: 'void', code: stop.code, captured })
    await this.stages.audit.durable()
    return stop
  }

  private voidHeld({ work, lease }: Held): void {
    this.stages.budget.void(work)
    if (lease !== null) this.stages.budget.void(lease)
  }

  /** What a failed effect is answered, on record where it had begun. */
  private async failed(request: AdmitRequest, unbegun: Held | null, run: EffectRun | null, error: unknown): Promise<unknown> {
    // The only case besides an early stop in which a reservation is void.
    if (unbegun !== null) this.voidHeld(unbegun)
    const failure = run === null ? error : await run.recordFailure(error)
    return failure instanceof LogBytesExceeded
      ? this.judge.refuseBudget(request, request.effect.requestedText, logRefusal(failure))
      : failure
  }

  async decideFurther(request: AdmitRequest, questions: readonly Question[], requested: string): Promise<void> {
    const { audit } = this.stages
    const { rule } = await this.judge.decide(request, questions, requested, 'again')
    const object = clipText(`${requested} → ${questions.map((question) => question.object).join(', ')}`)
    const seq = await this.recordFurther(request, rule, object)
    await audit.durable()
    const stop = this.withdrawn(request, questions, seq)
    if (stop !== null) throw stop
  }

  private async recordFurther(request: AdmitRequest, rule: string | null, object: string): Promise<number> {
    try {
      return this.stages.audit.append({ type: 'LOOK', counts: [{ op: request.operation, rule, object, count: 1 }] })
    } catch (error) {
      throw error instanceof LogBytesExceeded ? await this.judge.refuseBudget(request, object, logRefusal(error)) : error
    }
  }

  private finishLook(request: LookRequest, object: ResolvedObject): EffectResult | Promise<EffectResult> {
    const allowed = this.judge.decideLook(request, object.questions, object.object, 'again')
    this.countLook(request, allowed.rule, object.object)
    return request.effect.execute(LOOK_PERMIT)
  }

  private countLook(request: LookRequest, rule: string | null, object: string): void {
    const ledger = isGuestEnforced(request) ? this.claimedLooks : this.looks
    const noRoom = ledger.count(request.operation, rule, object)
    if (noRoom !== null) throw this.judge.refuseLook(request, object, logRefusal(noRoom))
  }
}

/** The same each time: what every change costs is read by the budget once. */
const ONE_CALL: Charges = Object.freeze({ calls: 1, concurrency: 1 })
const NO_WATCH = new Stopwatch(undefined)
const NEVER = new AbortController().signal

function isEmpty(charges: Charges): boolean {
  for (const _ in charges) return false
  return true
}

const LOOK_PERMIT: Permit = {
  intent: 0,
  signal: NEVER,
  decideAgain: () => Promise.reject(new Error('a look decides once')),
  reserveMore: () => Promise.reject(new Error('a look reserves nothing')),
  lease: () => {
    throw new Error('a look moves no bytes')
  },
}
