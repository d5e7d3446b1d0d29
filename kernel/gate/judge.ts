import { AuthorityError, type Denial, type ErrorCode } from '@authority/protocol'
import type { ReserveResult } from '../budget/types.ts'
import type { CapabilityVerdict } from '../capability/types.ts'
import type { PreparedEffect } from '../effects/contract.ts'
import type { Question } from '../vocabulary/index.ts'
import { DenialLedger } from './coalesce.ts'
import { clipText } from './text.ts'
import type { LookRequest, Stages } from './types.ts'

/** What capability and policy said yes with. */
export interface Allowed {
  readonly rule: string | null
  readonly blocks: readonly string[]
}

/** An effect counts as one use of its token: the first time it is decided. */
export type Turn = 'first' | 'again'

export type BudgetRefusal = Extract<ReserveResult, { ok: false }>

interface Refusal {
  readonly allow: false
  readonly code: ErrorCode
  readonly reason: string
  readonly rule: string | null
  readonly fix: string | null
  readonly question: Question | null
}
type Judgement = ({ readonly allow: true } & Allowed) | Refusal

/** Capability and policy, and the record of every no. */
export class Judge {
  readonly denials: DenialLedger
  private readonly stages: Stages

  constructor(stages: Stages) {
    this.stages = stages
    this.denials = new DenialLedger(stages.audit)
  }

  /** Every question must be allowed by capability and by policy. Throws the denial, its record durable. */
  async decide(request: LookRequest, questions: readonly Question[], object: string, turn: Turn): Promise<Allowed> {
    const verdict = this.judge(request, questions, turn)
    if (verdict.allow) return verdict
    throw await this.refuse(request, verdict, object)
  }

  /** The same for looking: the record is not waited for. */
  decideLook(request: LookRequest, questions: readonly Question[], object: string, turn: Turn): Allowed {
    const verdict = this.judge(request, questions, turn)
    if (verdict.allow) return verdict
    throw denialError(verdict, request.effect, this.record(request, verdict, object).seq)
  }

  /** What was allowed a moment ago and is not any more: the denial to answer with, or null. Its record is the effect's own OUTCOME. */
  withdrawn(request: LookRequest, questions: readonly Question[], intent: number): AuthorityError | null {
    const verdict = this.judge(request, questions, 'again')
    return verdict.allow ? null : denialError(verdict, request.effect, intent)
  }

  /** The denial for a budget that does not hold the worst case, its record durable. */
  async refuseBudget(request: LookRequest, object: string, refusal: BudgetRefusal): Promise<AuthorityError> {
    const { account, dimension, limit, available, asked } = refusal
    const reason = refusal.frozen
      ? `account ${account} is frozen: it was overrun`
      : `the ${dimension} budget of ${account} does not hold it: ${asked} needed, ${available} of ${limit} left`
    return this.refuse(
      request,
      { allow: false, code: 'E_BUDGET_EXCEEDED', reason, rule: `budget:${account}/${dimension}`, fix: null, question: null },
      object,
    )
  }

  private judge(request: LookRequest, questions: readonly Question[], turn: Turn): Judgement {
    const { capability, policy } = this.stages
    const { session } = request.subject
    if (request.operation === 'image.open') return this.judgeImageFile(questions)
    const verdict =
      turn === 'first' ? capability.check(session, request.handle, questions) : capability.check(session, request.handle, questions, true)
    // The run's own capability grants what the policy could: where it covers nothing, the policy says why and what would allow it.
    if (!verdict.allow && verdict.code !== 'E_CAP_MISSING') return capabilityRefusal(verdict, questions)
    let rule: string | null = null
    for (const question of questions) {
      const decision = policy.decide(question)
      if (!decision.allow)
        return { allow: false, code: 'E_POLICY_DENY', reason: decision.reason, rule: decision.rule, fix: decision.fix, question }
      rule ??= decision.rule
    }
    return verdict.allow ? { allow: true, rule, blocks: verdict.blocks } : capabilityRefusal(verdict, questions)
  }

  /** A file of the guest's own image is the policy's alone to decide: capabilities are about what is outside, and the guest enforces the answer. */
  private judgeImageFile(questions: readonly Question[]): Judgement {
    let rule: string | null = null
    for (const question of questions) {
      const decision = this.stages.policy.decideImage(question)
      if (!decision.allow)
        return { allow: false, code: 'E_POLICY_DENY', reason: decision.reason, rule: decision.rule, fix: decision.fix, question }
      rule ??= decision.rule
    }
    return { allow: true, rule, blocks: [] }
  }

  private async refuse(request: LookRequest, refusal: Refusal, object: string): Promise<AuthorityError> {
    const { seq, fresh } = this.record(request, refusal, object)
    if (fresh) await this.stages.audit.durable()
    return denialError(refusal, request.effect, seq)
  }

  private record(request: LookRequest, refusal: Refusal, object: string): { seq: number; fresh: boolean } {
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
}

/** What init said of the program behind a session: kept, never believed. */
export function claimedOf(request: LookRequest): { claimed?: { pid: number; exe: string } } {
  const { pid, executable } = request.subject
  return pid === undefined ? {} : { claimed: { pid, exe: clipText(executable ?? '') } }
}

function capabilityRefusal(verdict: Extract<CapabilityVerdict, { allow: false }>, questions: readonly Question[]): Refusal {
  const rule = verdict.block === null ? null : `block:${verdict.block}`
  return { allow: false, code: verdict.code, reason: verdict.reason, rule, fix: null, question: questions[0] ?? null }
}

function denialError(refusal: Refusal, effect: PreparedEffect, seq: number): AuthorityError {
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
