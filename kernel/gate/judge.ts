import { AuthorityError, type Denial, type ErrorCode, operationRow } from '@authority/protocol'
import { LogBytesExceeded } from '../audit/index.ts'
import type { Claimed } from '../audit/types.ts'
import type { ReserveResult } from '../budget/types.ts'
import type { CapabilityVerdict } from '../capability/types.ts'
import type { PreparedEffect } from '../effects/contract.ts'
import type { Question } from '../vocabulary/index.ts'
import { Approvals } from './approvals.ts'
import { budgetDenial, logRefusal } from './budget-refusal.ts'
import { DenialLedger } from './coalesce.ts'
import type { Stopwatch } from './stopwatch.ts'
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

export interface Refusal {
  readonly allow: false
  readonly code: ErrorCode
  readonly reason: string
  readonly rule: string | null
  readonly fix: string | null
  readonly question: Question | null
  /** A person may still allow it. */
  readonly ask?: true
}
type Judgement = ({ readonly allow: true } & Allowed) | Refusal

/** Capability and policy, and the record of every no. */
export class Judge {
  readonly denials: DenialLedger
  private readonly stages: Stages
  private readonly approvals: Approvals

  constructor(stages: Stages) {
    this.stages = stages
    this.denials = new DenialLedger(stages.audit)
    this.approvals = new Approvals(stages)
  }

  /**
   * Every question must be allowed by capability and by policy; what is allowed is answered at once. Rejects with the denial, its record durable;
   * throws E_AUDIT when nothing is allowed any more.
   */
  decide(request: LookRequest, questions: readonly Question[], object: string, turn: Turn, watch?: Stopwatch): Allowed | Promise<Allowed> {
    this.assertNotLatched()
    const verdict = this.judge(request, questions, turn, watch)
    return verdict.allow ? verdict : this.askOrRefuse(request, questions, object, verdict, watch)
  }

  private async askOrRefuse(
    request: LookRequest,
    questions: readonly Question[],
    object: string,
    first: Refusal,
    watch?: Stopwatch,
  ): Promise<Allowed> {
    let verdict: Judgement = first
    // Once for each question that is asked about; the whole is judged again after each answer, as it then stands.
    for (let round = 0; !verdict.allow && verdict.ask === true && round <= questions.length; round++) {
      const refusal = await this.approvals.obtain(request, verdict)
      if (refusal !== null) throw await this.refuse(request, refusal, object)
      this.assertNotLatched()
      verdict = this.judge(request, questions, 'again', watch)
    }
    if (verdict.allow) return verdict
    throw await this.refuse(request, verdict, object)
  }

  /** The same for looking: the record is not waited for. */
  decideLook(request: LookRequest, questions: readonly Question[], object: string, turn: Turn): Allowed {
    this.assertNotLatched()
    const verdict = this.judge(request, questions, turn)
    if (verdict.allow) return verdict
    const refusal = verdict.ask === true ? this.approvals.post(request, verdict) : verdict
    throw denialError(refusal, request.effect, this.record(request, refusal, object))
  }

  /** What was allowed a moment ago and is not any more: the denial to answer with, or null. Its record is the effect's own OUTCOME. */
  withdrawn(request: LookRequest, questions: readonly Question[], intent: number): AuthorityError | null {
    const latched = this.latched()
    if (latched !== null) return latched
    const verdict = this.judge(request, questions, 'again')
    return verdict.allow ? null : denialError(verdict, request.effect, intent)
  }

  /**
   * What was opened may be used as long as its capability lives: a revocation ends it, also when the handle it was opened under was given up since;
   * so does the end of the token's time.
   */
  ended(request: LookRequest, { blocks }: Allowed): AuthorityError | null {
    const { capability } = this.stages
    const revoked = capability.revokedAmong(blocks)
    if (revoked !== null) return new AuthorityError('E_CAP_REVOKED', `block ${revoked} of the token was revoked`)
    if (request.handle === 0) return null
    const verdict = capability.check(request.subject.session, request.handle, [], true)
    return !verdict.allow && verdict.code === 'E_CAP_EXPIRED' ? new AuthorityError(verdict.code, verdict.reason) : null
  }

  /** What was opened under an earlier policy may be used as long as the present one allows it too; what a person approved under the earlier one is not approved under this. */
  outdated(request: LookRequest, questions: readonly Question[]): AuthorityError | null {
    const verdict = this.judge(request, questions, 'again')
    if (verdict.allow) return null
    return new AuthorityError(verdict.code, 'the policy was changed and does not allow this any more', { errno: 'EACCES' })
  }

  /**
   * An effect may refuse its own object whatever policy says: a hard link that reaches outside, a device, a file that decides what the run may do. That is a
   * denial like any other and stands on record. Anything else that went wrong is returned as it is.
   */
  refusedByEffect(request: LookRequest, error: unknown): unknown {
    if (!(error instanceof AuthorityError) || error.code !== 'E_POLICY_DENY' || error.denial !== undefined) return error
    const { requested, requestedText } = request.effect
    const question = requested[0] ?? null
    const refusal: Refusal = { allow: false, code: error.code, reason: error.message, rule: 'built-in:object', fix: null, question }
    const seq = this.record(request, refusal, requestedText)
    const denial: Denial = { permission: question?.action ?? error.code, object: requestedText, fix: '', seq }
    return new AuthorityError(error.code, error.message, {
      errno: error.errno,
      denial,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    })
  }

  /** The denial for a budget that does not hold the worst case, its record durable. */
  async refuseBudget(request: LookRequest, object: string, refusal: BudgetRefusal): Promise<AuthorityError> {
    return this.refuse(request, budgetDenial(refusal), object)
  }

  /** The same for looking: not waited for. */
  refuseLook(request: LookRequest, object: string, refusal: BudgetRefusal): AuthorityError {
    const refused = budgetDenial(refusal)
    return denialError(refused, request.effect, this.record(request, refused, object))
  }

  /** A stage that fails decided nothing, and nothing is allowed by it. */
  private judge(request: LookRequest, questions: readonly Question[], turn: Turn, watch?: Stopwatch): Judgement {
    // Every effect is about something. One that asks nothing would be allowed by every rule.
    if (questions.length === 0 && turn === 'first' && !mayAskNothing(request))
      return undecided('E_POLICY_DENY', 'the effect asks for no permission', questions)
    try {
      if (request.operation === 'image.open') return this.judgeImageFile(questions)
      return this.judgeEffect(request, questions, turn, watch)
    } catch (error) {
      if (error instanceof LogBytesExceeded) return budgetDenial(logRefusal(error))
      return undecided('E_INTERNAL', `it could not be decided: ${error instanceof Error ? error.message : 'unknown fault'}`, questions)
    }
  }

  private judgeEffect(request: LookRequest, questions: readonly Question[], turn: Turn, watch?: Stopwatch): Judgement {
    const { capability, policy } = this.stages
    const { session } = request.subject
    watch?.lap('policy')
    const verdict =
      turn === 'first' ? capability.check(session, request.handle, questions) : capability.check(session, request.handle, questions, true)
    watch?.lap('capability')
    // The run's own capability grants what the policy could: where it covers nothing, the policy says why and what would allow it.
    if (!verdict.allow && verdict.code !== 'E_CAP_MISSING') return capabilityRefusal(verdict, questions)
    let rule: string | null = null
    for (const question of questions) {
      const decision = policy.decide(question)
      if (!decision.allow && !(decision.ask === true && this.approvals.holds(request, question)))
        return {
          allow: false,
          code: decision.ask === true ? 'E_APPROVAL_REQUIRED' : 'E_POLICY_DENY',
          reason: decision.reason,
          rule: decision.rule,
          fix: decision.fix,
          question,
          ...(decision.ask === true && verdict.allow ? { ask: true } : {}),
        }
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
    const seq = this.record(request, refusal, object)
    // Of a repeat too: the first one's record may still be on its way.
    await this.stages.audit.durable()
    return denialError(refusal, request.effect, seq)
  }

  private record(request: LookRequest, refusal: Refusal, object: string): number {
    const { subject, effect } = request
    return this.denials.record({
      type: 'DENY',
      op: request.operation,
      session: subject.session,
      action: refusal.question?.action ?? null,
      object,
      requested: effect.requestedText,
      code: refusal.code,
      rule: refusal.rule,
      reason: refusal.reason,
      fix: refusal.fix,
      policy: this.stages.policy.id,
      ...(isGuestEnforced(request) ? { guest_claimed: true } : {}),
      claimed: claimedOf(request),
    })
  }

  private latched(): AuthorityError | null {
    const { latched } = this.stages.audit
    return latched === null ? null : new AuthorityError('E_AUDIT', `the audit log cannot be written: ${latched}`)
  }

  private assertNotLatched(): void {
    const latched = this.latched()
    if (latched !== null) throw latched
  }
}

/** What only the guest enforces, whatever the answer was; connections and names are the gate's own to refuse. */
export function isGuestEnforced({ operation }: LookRequest): boolean {
  return operation === 'image.open' || operation === 'scratch.mount'
}

/** What init said of the program behind a session: kept, never believed. */
export function claimedOf(request: LookRequest): Claimed | undefined {
  const { pid, executable } = request.subject
  return pid === undefined ? undefined : { pid, exe: clipText(executable ?? '') }
}

function undecided(code: ErrorCode, reason: string, questions: readonly Question[]): Refusal {
  return { allow: false, code, reason, rule: null, fix: null, question: questions[0] ?? null }
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

/** Says nothing of where the object really lies: a reason may name what a link led to. */
function agentSentence(refusal: Refusal, permission: string, requested: string): string {
  switch (refusal.code) {
    case 'E_POLICY_DENY':
      return `policy does not allow ${permission} on ${requested}. This is a decision, not a fault: do not try another route.`
    case 'E_CAP_SCOPE':
    case 'E_CAP_MISSING':
      return `the capability this acts under does not cover ${permission} on ${requested}`
    case 'E_APPROVAL_REQUIRED':
      return `a person must approve ${permission} on ${requested} first: it is being asked for; send the request again later`
    case 'E_APPROVAL_DENIED':
      return `${permission} on ${requested} was not approved. This is a decision, not a fault: do not try another route.`
    case 'E_INTERNAL':
      return `${permission} on ${requested} could not be decided, so it is not allowed`
    default:
      return `${refusal.reason} (${permission} on ${requested})`
  }
}

function mayAskNothing({ operation, effect }: LookRequest): boolean {
  return effect.unasked !== undefined && operationRow(operation).class === 'look'
}
