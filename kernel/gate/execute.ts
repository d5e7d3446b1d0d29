import { AuthorityError } from '@authority/protocol'
import type { Reservation, Settlement } from '../budget/types.ts'
import type { ByteLease, EffectResult, Permit, ResolvedObject } from '../effects/contract.ts'
import type { Charges, Question } from '../vocabulary/index.ts'
import type { Allowed, Judge } from './judge.ts'
import { PipelineLease } from './lease.ts'
import { ABORT_GRACE_MS } from './limits.ts'
import { usedLogBytes } from './log-charge.ts'
import type { OpenEffects } from './open-effects.ts'
import { type Abortable, signalOf } from './request-abort.ts'
import { type ReserveMoreOptions, reserveMore } from './reserve-more.ts'
import type { Stopwatch } from './stopwatch.ts'
import { clipText } from './text.ts'
import type { AdmitRequest, Stages } from './types.ts'

/** What an effect holds of the budget: `work` is settled by its OUTCOME, `lease` (bytes) by its CLOSE when the effect took it. */
export interface Held {
  work: Reservation
  /** Null where no bytes were reserved beforehand. */
  readonly lease: Reservation | null
  /** Bytes its INTENT takes in the log. */
  intentBytes: number
}

/** What the effects under way have in common. */
export interface Surroundings {
  readonly stages: Stages
  readonly judge: Judge
  readonly open: OpenEffects
  /** A further object of an effect under way: decided, and on record before it is touched. Throws the denial. */
  decideFurther(request: AdmitRequest, questions: readonly Question[], requested: string): Promise<void>
}

/** What was decided and reserved before an effect may begin. */
export interface Admitted {
  /** Sequence number of the INTENT, which is durable. */
  readonly intent: number
  readonly object: ResolvedObject
  readonly allowed: Allowed
  readonly held: Held
}

/**
 * execute → audit OUTCOME, of one admitted effect; what the effect may use while it runs. Its own hold on the world is let go when it is over, not when its
 * caller stopped waiting: one that was left behind still uses it.
 */
export class EffectRun implements Permit {
  private readonly gate: Surroundings
  private readonly request: AdmitRequest
  private readonly admitted: Admitted
  private readonly watch: Stopwatch
  private readonly admittedUnder: string
  private work: 'none' | 'running' | 'settled' = 'none'
  private released = false
  private settlement: Settlement | null = null
  /** Bytes: the effect's own until it takes them, then the handle's. */
  private reserved: Reservation | null
  private taken: PipelineLease | null = null
  private settled = false
  /** What had to be allowed since. */
  private further: readonly Question[] = []

  constructor(gate: Surroundings, request: AdmitRequest, admitted: Admitted, watch: Stopwatch) {
    this.gate = gate
    this.request = request
    this.admitted = admitted
    this.watch = watch
    this.admittedUnder = gate.stages.policy.id
    this.reserved = admitted.held.lease
  }

  /** Up to the effect's first step this is synchronous, and as a whole where the effect is. */
  execute(): EffectResult | Promise<EffectResult> {
    const { effect, signal } = this.request
    const work = effect.execute(this)
    if (!(work instanceof Promise)) return work
    this.work = 'running'
    const settled = (): void => {
      this.work = 'settled'
      if (this.released) effect.release()
    }
    work.then(settled, settled)
    return withinGrace(signalOf(signal), work)
  }

  /** What was not captured is free again; the caller makes the record durable. */
  recordOutcome({ captured, detail }: EffectResult): void {
    const { audit, budget } = this.gate.stages
    const { held, intent } = this.admitted
    this.watch.lap('execute')
    const logged = loggedOf(held, detail, this.taken !== null)
    const used = captured === undefined && logged === null ? undefined : { ...held.work.charges, ...captured, ...logged }
    this.settlement = budget.settle(held.work, used)
    audit.append({
      type: 'OUTCOME',
      intent,
      status: 'ok',
      captured: this.settlement.captured,
      leased: this.settleBytesUnlessTaken(),
      overrun: this.settlement.overrun || undefined,
      detail,
      us: this.watch.times,
    })
  }

  /** What may have happened is charged in full; only bytes, which move through the lease alone, are known. Resolves with what to answer, its record durable. */
  async recordFailure(error: unknown): Promise<AuthorityError> {
    const { audit, budget } = this.gate.stages
    const { held, intent } = this.admitted
    this.watch.lap('execute')
    const failure = failureOf(this.request, error)
    this.settlement ??= budget.settle(held.work)
    const leased = this.settleBytesUnlessTaken()
    // A failed effect has no handle that would close its lease.
    const closed = this.taken?.close({ reason: failure.code }).catch(() => undefined)
    try {
      audit.append({
        type: 'OUTCOME',
        intent,
        status: isUnknown(failure) ? 'unknown' : 'error',
        code: failure.code,
        captured: this.settlement.captured,
        leased,
        detail: { errno: failure.errno, message: clipText(failure.message) },
        us: this.watch.times,
      })
      await closed
      await audit.durable()
      return failure
    } catch (unrecorded) {
      // Of an outcome that cannot be recorded nothing is told but that.
      return failureOf(this.request, unrecorded)
    }
  }

  /** Once, when the pipeline is through with it. */
  release(): void {
    this.released = true
    if (this.work !== 'running') this.request.effect.release()
  }

  // ── Permit ──

  get intent(): number {
    return this.admitted.intent
  }

  get signal(): AbortSignal {
    return signalOf(this.request.signal)
  }

  async decideAgain(questions: readonly Question[], requested: string): Promise<void> {
    await this.gate.decideFurther(this.request, questions, requested)
    this.further = [...this.further, ...questions]
  }

  reserveMore(more: Charges): Promise<void> {
    const { held } = this.admitted
    return reserveMore(this.reserving(held.work), more, (reservation) => {
      this.assertUnsettled()
      held.work = reservation
    })
  }

  lease(): ByteLease {
    this.assertUnsettled()
    if (this.taken !== null) throw new AuthorityError('E_CANCELLED', 'the effect is over')
    const { open } = this.gate
    // While the effect was under way: what it opened is not handed on.
    const stop = this.withdrawn()
    if (stop !== null) throw stop
    this.reserved ??= this.reserveNothing()
    const lease: PipelineLease = new PipelineLease({
      ...this.reserving(this.reserved),
      withdrawn: () => this.withdrawn(),
      onClose: () => open.closed(lease),
    })
    open.opened(lease)
    this.taken = lease
    return lease
  }

  // ── Budget ──

  private reserving(reservation: Reservation): ReserveMoreOptions {
    const { stages, judge } = this.gate
    const { audit, budget } = stages
    const { object } = this.admitted.object
    return { audit, budget, intent: this.intent, reservation, refuse: (refusal) => judge.refuseBudget(this.request, object, refusal) }
  }

  /** After the OUTCOME all is given back: an effect that was left behind must not move anything more. */
  private assertUnsettled(): void {
    if (this.settled) throw new AuthorityError('E_CANCELLED', 'the effect is over')
  }

  /** Why what it opened may not be used any more, or null. */
  private withdrawn(): AuthorityError | null {
    const { stages, judge } = this.gate
    const ended = judge.ended(this.request, this.admitted.allowed)
    // Answers at once while nothing was reloaded.
    if (ended !== null || stages.policy.id === this.admittedUnder) return ended
    return judge.outdated(this.request, this.decided)
  }

  /** All that had to be allowed must be allowed still. Who accepts asks for every published port; one connection stands on its own. */
  private get decided(): readonly Question[] {
    const { operation, effect } = this.request
    return [...(operation === 'net.accept' ? [] : effect.requested), ...this.admitted.object.questions, ...this.further]
  }

  /** A lease that begins empty and grows as it is spent, of the accounts the work is charged to. */
  private reserveNothing(): Reservation {
    const reserved = this.gate.stages.budget.reserve(this.admitted.held.work.accounts, {})
    if (reserved.ok) return reserved.reservation
    throw new AuthorityError('E_BUDGET_EXCEEDED', `account ${reserved.account} is frozen: it was overrun`)
  }

  /** What the OUTCOME says is leased on, or undefined when nothing is. */
  private settleBytesUnlessTaken(): Charges | undefined {
    this.settled = true
    if (this.reserved === null) return undefined
    if (this.taken !== null) return this.taken.reserved
    this.gate.stages.budget.settle(this.reserved, {})
    return undefined
  }
}

/** What the records of an effect that did not fail are charged; null where that is not charged at all. */
export function loggedOf({ work, intentBytes }: Held, detail: EffectResult['detail'], leased: boolean): Charges | null {
  const { log_bytes = 0 } = work.charges
  return log_bytes === 0 ? null : { log_bytes: usedLogBytes(log_bytes, intentBytes, detail, leased) }
}

function failureOf(request: AdmitRequest, error: unknown): AuthorityError {
  if (error instanceof AuthorityError) return error
  return new AuthorityError('E_INTERNAL', `${request.operation} failed inside the gate`, { cause: error })
}

/** Whether the effect may have happened although it failed. */
function isUnknown(failure: AuthorityError): boolean {
  return ['E_TIMEOUT', 'E_CANCELLED', 'E_INTERNAL', 'E_AUDIT'].includes(failure.code)
}

export function abortError(signal: Abortable): AuthorityError {
  return signal.reason instanceof AuthorityError ? signal.reason : new AuthorityError('E_CANCELLED', 'the request was cancelled')
}

/** An effect hears its signal; one that does not is left behind after a grace, its outcome unknown. */
function withinGrace(signal: AbortSignal, work: Promise<EffectResult>): Promise<EffectResult> {
  return new Promise((resolve, reject) => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const onAbort = (): void => {
      timer = setTimeout(() => reject(abortError(signal)), ABORT_GRACE_MS)
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
