import { AuthorityError } from '@authority/protocol'
import type { EffectResult, Permit, ResolvedObject } from '../effects/contract.ts'
import { type FirstDenial, LookLedger } from './coalesce.ts'
import { abortError, executeAndRecord, type Held } from './execute.ts'
import { type Allowed, claimedOf, Judge } from './judge.ts'
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
export class AdmitPipeline implements Gate {
  private readonly stages: Stages
  private readonly judge: Judge
  private readonly looks: LookLedger
  private readonly claimedLooks: LookLedger
  private effects = 0
  private openLeases = 0

  constructor(stages: Stages) {
    this.stages = stages
    this.judge = new Judge(stages)
    this.looks = new LookLedger(stages.audit, false)
    this.claimedLooks = new LookLedger(stages.audit, true)
  }

  async admit(request: AdmitRequest): Promise<EffectResult> {
    const { effect } = request
    try {
      await this.judge.decide(request, effect.requested, effect.requestedText, 'first')
      const object = await effect.resolve()
      const allowed = await this.judge.decide(request, object.questions, object.object, 'again')
      const held = await this.reserve(request, object, allowed)
      const intent = await this.recordIntent(request, object, allowed, held)
      this.assertStillAllowed(request, object, intent, held)
      this.effects += 1
      return await executeAndRecord(this.stages, request, intent, held, this.hooksFor(request))
    } finally {
      effect.release()
    }
  }

  /** Looking takes the same decisions, synchronously where the effect is; it is counted and recorded together with others. */
  look(request: LookRequest): EffectResult | Promise<EffectResult> {
    const { effect } = request
    let pending = false
    const release = (): void => effect.release()
    try {
      this.assertNotLatched()
      this.judge.decideLook(request, effect.requested, effect.requestedText, 'first')
      const object = effect.resolve()
      const result = object instanceof Promise ? object.then((found) => this.finishLook(request, found)) : this.finishLook(request, object)
      if (!(result instanceof Promise)) return result
      pending = true
      return result.finally(release)
    } finally {
      if (!pending) release()
    }
  }

  /** Writes what was counted since the last time. */
  flush(): void {
    this.looks.flush()
    this.claimedLooks.flush()
    this.judge.denials.flush()
  }

  get statistics(): GateStatistics {
    const looks = this.looks.total + this.claimedLooks.total
    return { effects: this.effects, denials: this.judge.denials.total, looks, openLeases: this.openLeases }
  }

  get firstDenials(): readonly FirstDenial[] {
    return this.judge.denials.first
  }

  private async reserve(request: AdmitRequest, object: ResolvedObject, allowed: Allowed): Promise<Held> {
    const { budget } = this.stages
    const accounts = ['run', ...allowed.blocks.map((block) => `block:${block}`)]
    const { bytes = 0, ...worst } = request.effect.worstCase((dimension) => budget.available(accounts, dimension))
    const work = budget.reserve(accounts, { calls: 1, concurrency: 1, ...worst })
    if (!work.ok) throw await this.judge.refuseBudget(request, object.object, work)
    const lease = budget.reserve(accounts, { bytes })
    if (lease.ok) return { work: work.reservation, lease: lease.reservation }
    budget.void(work.reservation)
    throw await this.judge.refuseBudget(request, object.object, lease)
  }

  private async recordIntent(request: AdmitRequest, object: ResolvedObject, allowed: Allowed, held: Held): Promise<number> {
    const { audit, policy } = this.stages
    const { work, lease } = held
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
      this.voidHeld(held)
      throw error
    }
  }

  /** The world moved while the INTENT was written: a revocation that was acknowledged since must hold, and a cancelled request must not start. */
  private assertStillAllowed(request: AdmitRequest, object: ResolvedObject, intent: number, held: Held): void {
    const stop = this.judge.withdrawn(request, object.questions, intent) ?? (request.signal.aborted ? abortError(request.signal) : null)
    if (stop === null) return
    this.voidHeld(held)
    this.stages.audit.append({ type: 'OUTCOME', intent, status: 'void', code: stop.code, captured: {} })
    throw stop
  }

  private voidHeld({ work, lease }: Held): void {
    this.stages.budget.void(work)
    this.stages.budget.void(lease)
  }

  private hooksFor(request: AdmitRequest): Parameters<typeof executeAndRecord>[4] {
    return {
      decideAgain: async (questions, requested) => {
        const allowed = await this.judge.decide(request, questions, requested, 'again')
        this.looks.count(request.operation, allowed.rule, clipText(requested))
      },
      onLease: () => {
        this.openLeases += 1
      },
      onLeaseClosed: () => {
        this.openLeases -= 1
      },
    }
  }

  private finishLook(request: LookRequest, object: ResolvedObject): EffectResult | Promise<EffectResult> {
    const allowed = this.judge.decideLook(request, object.questions, object.object, 'again')
    const ledger = request.subject.via === 'init' ? this.claimedLooks : this.looks
    ledger.count(request.operation, allowed.rule, clipText(object.object))
    return request.effect.execute(LOOK_PERMIT)
  }

  private assertNotLatched(): void {
    const { latched } = this.stages.audit
    if (latched !== null) throw new AuthorityError('E_AUDIT', `the audit log cannot be written: ${latched}`)
  }
}

const LOOK_PERMIT: Permit = {
  intent: 0,
  signal: new AbortController().signal,
  decideAgain: () => Promise.reject(new Error('a look decides once')),
  lease: () => {
    throw new Error('a look moves no bytes')
  },
}
