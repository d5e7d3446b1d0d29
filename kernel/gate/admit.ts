import { AuthorityError, type Denial, type ErrorCode } from '@authority/protocol'
import type { AuditStage } from '../audit/types.ts'
import type { BudgetStage, Reservation } from '../budget/types.ts'
import type { CapabilityStage } from '../capability/types.ts'
import type { ByteLease, EffectResult, Permit, PreparedEffect, ResolvedObject } from '../effects/contract.ts'
import type { Policy } from '../policy/types.ts'
import type { Charges, Question } from '../vocabulary/index.ts'
import { DenialLedger, LookLedger } from './coalesce.ts'
import { PipelineLease } from './lease.ts'
import { ABORT_GRACE_MS } from './limits.ts'
import { clipText } from './text.ts'
import type { AdmitRequest, Gate, GateStatistics } from './types.ts'

export interface Stages {
  readonly capability: CapabilityStage
  readonly policy: Policy
  readonly budget: BudgetStage
  readonly audit: AuditStage
}

type LookRequest = Omit<AdmitRequest, 'signal' | 'argsBytes'>

/** What capability and policy said yes with. */
interface Allowed {
  readonly rule: string | null
  readonly blocks: readonly string[]
}

/**
 * The one way out. Every effect of every transport takes these steps in this order:
 *
 *   decode → capability → policy → budget → audit INTENT (durable) → execute → audit OUTCOME (durable) → reply
 *
 * Decoding is the caller's: `effect` holds arguments checked against the operations table. What was asked is decided before anything is looked at;
 * what that turned out to be is decided again.
 */
export class AdmitPipeline implements Gate {
  private readonly stages: Stages
  private readonly denials: DenialLedger
  private readonly looks: LookLedger
  private readonly claimedLooks: LookLedger
  private effects = 0
  private openLeases = 0

  constructor(stages: Stages) {
    this.stages = stages
    this.denials = new DenialLedger(stages.audit)
    this.looks = new LookLedger(stages.audit, false)
    this.claimedLooks = new LookLedger(stages.audit, true)
  }

  async admit(request: AdmitRequest): Promise<EffectResult> {
    const { effect } = request
    try {
      await this.decide(request, effect.requested, effect.requestedText)
      const object = await effect.resolve()
      const allowed = await this.decide(request, object.questions, object.object)
      const { work, lease } = await this.reserve(request, object, allowed)
      const intent = await this.recordIntent(request, object, allowed, work, lease)
      this.assertStillAllowed(request, object, intent, work, lease)
      this.effects += 1
      return await this.executeAndRecord(request, intent, work, lease)
    } finally {
      effect.release()
    }
  }

  look(request: LookRequest): EffectResult | Promise<EffectResult> {
    const { effect } = request
    let pending = false
    const done = (): void => effect.release()
    try {
      this.assertNotLatched()
      this.decideLook(request, effect.requested, effect.requestedText)
      const object = effect.resolve()
      if (object instanceof Promise) {
        pending = true
        return object.then((found) => this.finishLook(request, found)).finally(done)
      }
      const result = this.finishLook(request, object)
      if (result instanceof Promise) {
        pending = true
        return result.finally(done)
      }
      return result
    } finally {
      if (!pending) done()
    }
  }

  /** Writes what was counted since the last time. */
  flush(): void {
    this.looks.flush()
    this.claimedLooks.flush()
    this.denials.flush()
  }

  get statistics(): GateStatistics {
    return {
      effects: this.effects,
      denials: this.denials.total,
      looks: this.looks.total + this.claimedLooks.total,
      openLeases: this.openLeases,
    }
  }

  // ── capability → policy ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async decide(request: AdmitRequest, questions: readonly Question[], object: string): Promise<Allowed> {
    const verdict = this.judge(request, questions)
    if (verdict.allow) return verdict
    const { seq, fresh } = this.recordDenial(request, verdict, object)
    if (fresh) await this.stages.audit.durable()
    throw denied(verdict, request.effect, seq)
  }

  private decideLook(request: LookRequest, questions: readonly Question[], object: string): Allowed {
    const verdict = this.judge(request, questions)
    if (verdict.allow) return verdict
    throw denied(verdict, request.effect, this.recordDenial(request, verdict, object).seq)
  }

  private judge(request: LookRequest, questions: readonly Question[]): Judgement {
    const capability = this.stages.capability.check(request.subject.session, request.handle, questions)
    if (!capability.allow)
      return {
        ...capability,
        rule: capability.block === null ? null : `block:${capability.block}`,
        fix: null,
        question: questions[0] ?? null,
      }
    let rule: string | null = null
    for (const question of questions) {
      const verdict = this.stages.policy.decide(question)
      if (!verdict.allow)
        return { allow: false, code: 'E_POLICY_DENY', reason: verdict.reason, rule: verdict.rule, fix: verdict.fix, question }
      rule ??= verdict.rule
    }
    return { allow: true, rule, blocks: capability.blocks }
  }

  private recordDenial(request: LookRequest, refusal: Refusal, object: string): { seq: number; fresh: boolean } {
    const { subject, effect } = request
    return this.denials.record({
      type: 'DENY',
      op: request.operation,
      session: subject.session,
      action: refusal.question?.action ?? null,
      object: clipText(object),
      requested: clipText(effect.requestedText),
      code: refusal.code,
      rule: refusal.rule,
      reason: refusal.reason,
      fix: refusal.fix,
      policy: this.stages.policy.id,
      ...(subject.via === 'init' ? { guest_claimed: true } : {}),
      ...claimedOf(request),
    })
  }

  // ── budget ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async reserve(
    request: AdmitRequest,
    object: ResolvedObject,
    allowed: Allowed,
  ): Promise<{ work: Reservation; lease: Reservation }> {
    const { budget } = this.stages
    const accounts = accountsOf(allowed)
    const { bytes = 0, ...worst } = request.effect.worstCase((dimension) => budget.available(accounts, dimension))
    const work = budget.reserve(accounts, { calls: 1, concurrency: 1, ...worst })
    if (!work.ok) return this.refuseBudget(request, object, work)
    const lease = budget.reserve(accounts, { bytes })
    if (lease.ok) return { work: work.reservation, lease: lease.reservation }
    budget.void(work.reservation)
    return this.refuseBudget(request, object, lease)
  }

  private async refuseBudget(request: AdmitRequest, object: ResolvedObject, refusal: BudgetRefusal): Promise<never> {
    const { account, dimension, limit, available, asked } = refusal
    const reason = refusal.frozen
      ? `account ${account} is frozen: it was overrun`
      : `the ${dimension} budget of ${account} does not hold it: ${asked} needed, ${available} of ${limit} left`
    const verdict: Refusal = {
      allow: false,
      code: 'E_BUDGET_EXCEEDED',
      reason,
      rule: `budget:${account}/${dimension}`,
      fix: null,
      question: null,
    }
    const { seq, fresh } = this.recordDenial(request, verdict, object.object)
    if (fresh) await this.stages.audit.durable()
    throw denied(verdict, request.effect, seq)
  }

  // ── audit INTENT ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async recordIntent(
    request: AdmitRequest,
    object: ResolvedObject,
    allowed: Allowed,
    work: Reservation,
    lease: Reservation,
  ): Promise<number> {
    const { audit, budget, policy } = this.stages
    try {
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
        reserve: { ...work.charges, ...(lease.charges.bytes ? lease.charges : {}) },
        ...(request.argsBytes === undefined ? {} : { args: audit.commit(request.argsBytes) }),
        ...claimedOf(request),
      })
      await audit.durable()
      return intent
    } catch (error) {
      // Nothing has happened and nothing will: the only case besides an early stop in which a reservation is void.
      budget.void(work)
      budget.void(lease)
      throw error
    }
  }

  /** The world moved while the INTENT was written: a revocation that was acknowledged since must hold, and a cancelled request must not start. */
  private assertStillAllowed(request: AdmitRequest, object: ResolvedObject, intent: number, work: Reservation, lease: Reservation): void {
    const { audit, budget } = this.stages
    const verdict = this.judge(request, object.questions)
    const stopped = request.signal.aborted
    if (verdict.allow && !stopped) return
    budget.void(work)
    budget.void(lease)
    const code: ErrorCode = verdict.allow ? abortCode(request.signal) : verdict.code
    audit.append({ type: 'OUTCOME', intent, status: 'void', code, captured: {} })
    throw verdict.allow ? aborted(request.signal) : denied(verdict, request.effect, intent)
  }

  // ── execute → audit OUTCOME ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async executeAndRecord(request: AdmitRequest, intent: number, work: Reservation, lease: Reservation): Promise<EffectResult> {
    const { audit, budget } = this.stages
    let taken: PipelineLease | null = null
    const permit: Permit = {
      intent,
      signal: request.signal,
      decideAgain: async (questions, requested) => {
        const allowed = await this.decide(request, questions, requested)
        this.looks.count(request.operation, allowed.rule, clipText(requested))
      },
      lease: (): ByteLease => {
        if (taken !== null) throw new Error('an effect has one lease')
        this.openLeases += 1
        taken = new PipelineLease(this.stages, intent, lease, () => {
          this.openLeases -= 1
        })
        return taken
      },
    }
    const settleLease = (): Charges | undefined => {
      if (taken !== null) return lease.charges
      budget.settle(lease, {})
      return undefined
    }
    try {
      const result = await withinGrace(request, Promise.resolve(request.effect.execute(permit)))
      const captured = { ...work.charges, ...result.captured, concurrency: 0 }
      const { overrun } = budget.settle(work, captured)
      const leased = settleLease()
      audit.append({
        type: 'OUTCOME',
        intent,
        status: 'ok',
        captured: spent(captured),
        ...(leased === undefined ? {} : { leased }),
        ...(overrun ? { overrun } : {}),
        ...(result.detail === undefined ? {} : { detail: result.detail }),
      })
      await audit.durable()
      return result
    } catch (error) {
      throw await this.recordFailure(request, intent, work, settleLease, error)
    }
  }

  /** What may have happened is charged in full; only bytes, which move through the lease alone, are known. */
  private async recordFailure(
    request: AdmitRequest,
    intent: number,
    work: Reservation,
    settleLease: () => Charges | undefined,
    error: unknown,
  ): Promise<AuthorityError> {
    const { audit, budget } = this.stages
    if (error instanceof AuthorityError && error.code === 'E_AUDIT') return error
    const failure =
      error instanceof AuthorityError
        ? error
        : new AuthorityError('E_INTERNAL', `${request.operation} failed inside the gate`, { cause: error })
    const captured = { ...work.charges, concurrency: 0 }
    budget.settle(work, captured)
    const leased = settleLease()
    const unknown = failure.code === 'E_TIMEOUT' || failure.code === 'E_CANCELLED' || failure.code === 'E_INTERNAL'
    audit.append({
      type: 'OUTCOME',
      intent,
      status: unknown ? 'unknown' : 'error',
      code: failure.code,
      captured: spent(captured),
      ...(leased === undefined ? {} : { leased }),
      detail: { errno: failure.errno, message: clipText(failure.message) },
    })
    await audit.durable()
    return failure
  }

  // ── looking ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private finishLook(request: LookRequest, object: ResolvedObject): EffectResult | Promise<EffectResult> {
    const allowed = this.decideLook(request, object.questions, object.object)
    const ledger = request.subject.via === 'init' ? this.claimedLooks : this.looks
    ledger.count(request.operation, allowed.rule, clipText(object.object))
    return request.effect.execute(LOOK_PERMIT)
  }

  private assertNotLatched(): void {
    const { latched } = this.stages.audit
    if (latched !== null) throw new AuthorityError('E_AUDIT', `the audit log cannot be written: ${latched}`)
  }
}

type Refusal = {
  readonly allow: false
  readonly code: ErrorCode
  readonly reason: string
  readonly rule: string | null
  readonly fix: string | null
  readonly question: Question | null
}
type Judgement = ({ readonly allow: true } & Allowed) | Refusal
type BudgetRefusal = Extract<ReturnType<BudgetStage['reserve']>, { ok: false }>

const LOOK_PERMIT: Permit = {
  intent: 0,
  signal: new AbortController().signal,
  decideAgain: () => Promise.reject(new Error('a look decides once')),
  lease: () => {
    throw new Error('a look moves no bytes')
  },
}

function accountsOf(allowed: Allowed): readonly string[] {
  return ['run', ...allowed.blocks.map((block) => `block:${block}`)]
}

function claimedOf(request: LookRequest): { claimed?: { pid: number; exe: string } } {
  const { pid, executable } = request.subject
  return pid === undefined ? {} : { claimed: { pid, exe: clipText(executable ?? '') } }
}

/** Records hold no zeros: a dimension that is absent was not touched. */
function spent(charges: Charges): Charges {
  return Object.fromEntries(Object.entries(charges).filter(([, amount]) => amount !== 0))
}

function denied(refusal: Refusal, effect: PreparedEffect, seq: number): AuthorityError {
  const { question } = refusal
  const requested = effect.requestedText
  const permission = question?.action ?? refusal.rule ?? refusal.code
  // A fix names its object: where a link led elsewhere, that would show the agent a path it did not know. The operator's record has it.
  const askedItself = effect.requested.some((asked) => asked.object === question?.object)
  const denial: Denial = { permission, object: requested, fix: (askedItself ? refusal.fix : null) ?? '', seq }
  return new AuthorityError(refusal.code, agentSentence(refusal, permission, requested), { denial })
}

function agentSentence(refusal: Refusal, permission: string, requested: string): string {
  if (refusal.code === 'E_POLICY_DENY')
    return `policy does not allow ${permission} on ${requested}. This is a decision, not a fault: do not try another route.`
  return `${refusal.reason} (${permission} on ${requested})`
}

function abortCode(signal: AbortSignal): ErrorCode {
  return signal.reason instanceof AuthorityError ? signal.reason.code : 'E_CANCELLED'
}

function aborted(signal: AbortSignal): AuthorityError {
  return signal.reason instanceof AuthorityError ? signal.reason : new AuthorityError('E_CANCELLED', 'the request was cancelled')
}

/** An effect hears its signal; one that does not is left behind after a grace, its outcome unknown. */
function withinGrace(request: AdmitRequest, work: Promise<EffectResult>): Promise<EffectResult> {
  const { signal } = request
  return new Promise((resolve, reject) => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const onAbort = (): void => {
      timer = setTimeout(() => reject(aborted(signal)), ABORT_GRACE_MS)
    }
    const settled = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    }
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    work.finally(settled).then(resolve, reject)
  })
}
