import { AuthorityError } from '@authority/protocol'
import type { Reservation } from '../budget/types.ts'
import type { ByteLease, EffectResult, Permit, PreparedEffect } from '../effects/contract.ts'
import type { Charges, Dimension } from '../vocabulary/index.ts'
import { type LeaseOptions, PipelineLease } from './lease.ts'
import { ABORT_GRACE_MS } from './limits.ts'
import { usedLogBytes } from './log-charge.ts'
import type { OpenEffects } from './open-effects.ts'
import { type Abortable, signalOf } from './request-abort.ts'
import { reserveMore } from './reserve-more.ts'
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

export interface ExecuteHooks extends Pick<LeaseOptions, 'withdrawn' | 'refuse'> {
  readonly decideAgain: Permit['decideAgain']
  readonly open: OpenEffects
}

/** An effect's own hold on the world is let go when it is over, not when its caller stopped waiting: one that was left behind still uses it. */
export class EffectRun {
  private readonly effect: PreparedEffect
  private work: 'none' | 'running' | 'settled' = 'none'
  private released = false

  constructor(effect: PreparedEffect) {
    this.effect = effect
  }

  start(permit: Permit): EffectResult | Promise<EffectResult> {
    const work = this.effect.execute(permit)
    if (!(work instanceof Promise)) return work
    this.work = 'running'
    const settled = (): void => {
      this.work = 'settled'
      if (this.released) this.effect.release()
    }
    work.then(settled, settled)
    return work
  }

  /** Once, when the pipeline is through with it. */
  release(): void {
    this.released = true
    if (this.work !== 'running') this.effect.release()
  }
}

/** execute → audit OUTCOME (durable). The INTENT is durable already; up to the effect's first step this is synchronous. */
export async function executeAndRecord(
  stages: Stages,
  request: AdmitRequest,
  run: EffectRun,
  intent: number,
  held: Held,
  hooks: ExecuteHooks,
  watch: Stopwatch,
): Promise<EffectResult> {
  const { audit, budget } = stages
  const lease = new LeaseOnce(stages, intent, held, hooks)
  const permit: Permit = {
    intent,
    get signal() {
      return signalOf(request.signal)
    },
    decideAgain: hooks.decideAgain,
    reserveMore: (more) =>
      reserveMore({ ...stages, intent, reservation: held.work, refuse: hooks.refuse }, more, (reservation) => {
        lease.assertUnsettled()
        held.work = reservation
      }),
    lease: () => lease.take(),
  }
  try {
    const started = run.start(permit)
    const result = started instanceof Promise ? await withinGrace(signalOf(request.signal), started) : started
    watch.lap('execute')
    const captured = { ...held.work.charges, ...result.captured, ...loggedOf(held, result.detail, lease.isTaken), concurrency: 0 }
    const { overrun } = budget.settle(held.work, captured)
    const leased = lease.settleUnlessTaken()
    audit.append({
      type: 'OUTCOME',
      intent,
      status: 'ok',
      captured: spent(captured),
      leased,
      overrun: overrun || undefined,
      detail: result.detail,
      us: watch.times,
    })
    await audit.durable()
    return result
  } catch (error) {
    throw await recordFailure(stages, request, intent, held, lease, watch, error)
  }
}

/** What the records of an effect that did not fail are charged, where that is charged at all. */
export function loggedOf({ work, intentBytes }: Held, detail: EffectResult['detail'], leased: boolean): Charges {
  const { log_bytes = 0 } = work.charges
  return log_bytes === 0 ? {} : { log_bytes: usedLogBytes(log_bytes, intentBytes, detail, leased) }
}

/** What may have happened is charged in full; only bytes, which move through the lease alone, are known. */
async function recordFailure(
  stages: Stages,
  request: AdmitRequest,
  intent: number,
  held: Held,
  lease: LeaseOnce,
  watch: Stopwatch,
  error: unknown,
): Promise<AuthorityError> {
  const { audit, budget } = stages
  watch.lap('execute')
  const failure = failureOf(request, error)
  const captured = { ...held.work.charges, concurrency: 0 }
  budget.settle(held.work, captured)
  const leased = lease.settleUnlessTaken()
  const closed = lease.closeAfter(failure)
  try {
    audit.append({
      type: 'OUTCOME',
      intent,
      status: isUnknown(failure) ? 'unknown' : 'error',
      code: failure.code,
      captured: spent(captured),
      leased,
      detail: { errno: failure.errno, message: clipText(failure.message) },
      us: watch.times,
    })
    await closed
    await audit.durable()
    return failure
  } catch (unrecorded) {
    // Of an outcome that cannot be recorded nothing is told but that.
    return failureOf(request, unrecorded)
  }
}

function failureOf(request: AdmitRequest, error: unknown): AuthorityError {
  if (error instanceof AuthorityError) return error
  return new AuthorityError('E_INTERNAL', `${request.operation} failed inside the gate`, { cause: error })
}

/** Whether the effect may have happened although it failed. */
function isUnknown(failure: AuthorityError): boolean {
  return ['E_TIMEOUT', 'E_CANCELLED', 'E_INTERNAL', 'E_AUDIT'].includes(failure.code)
}

/** The byte reservation of an effect: its own until taken, then the handle's. */
class LeaseOnce {
  private readonly stages: Stages
  private readonly intent: number
  private readonly held: Held
  private reservation: Reservation | null
  private readonly hooks: ExecuteHooks
  private taken: PipelineLease | null = null
  private settled = false

  constructor(stages: Stages, intent: number, held: Held, hooks: ExecuteHooks) {
    this.stages = stages
    this.intent = intent
    this.held = held
    this.reservation = held.lease
    this.hooks = hooks
  }

  take(): ByteLease {
    this.assertUnsettled()
    if (this.taken !== null) throw new AuthorityError('E_CANCELLED', 'the effect is over')
    const { audit, budget } = this.stages
    const { withdrawn, refuse, open } = this.hooks
    // While the effect was under way: what it opened is not handed on.
    const stop = withdrawn()
    if (stop !== null) throw stop
    this.reservation ??= this.reserveNothing()
    const lease: PipelineLease = new PipelineLease({
      audit,
      budget,
      intent: this.intent,
      reservation: this.reservation,
      withdrawn,
      refuse,
      onClose: () => open.closed(lease),
    })
    open.opened(lease)
    this.taken = lease
    return lease
  }

  /** After the OUTCOME all is given back: an effect that was left behind must not move anything more. */
  assertUnsettled(): void {
    if (this.settled) throw new AuthorityError('E_CANCELLED', 'the effect is over')
  }

  get isTaken(): boolean {
    return this.taken !== null
  }

  /** What the OUTCOME says is leased on, or undefined when nothing is. */
  settleUnlessTaken(): Charges | undefined {
    this.settled = true
    if (this.reservation === null) return undefined
    if (this.taken !== null) return this.taken.reserved
    this.stages.budget.settle(this.reservation, {})
    return undefined
  }

  /** A lease that begins empty and grows as it is spent, of the accounts the work is charged to. */
  private reserveNothing(): Reservation {
    const reserved = this.stages.budget.reserve(this.held.work.accounts, {})
    if (reserved.ok) return reserved.reservation
    throw new AuthorityError('E_BUDGET_EXCEEDED', `account ${reserved.account} is frozen: it was overrun`)
  }

  /** A failed effect has no handle that would close its lease. */
  async closeAfter(failure: AuthorityError): Promise<void> {
    await this.taken?.close({ reason: failure.code }).catch(() => undefined)
  }
}

/** Records hold no zeros: a dimension that is absent was not touched. */
function spent(charges: Charges): Charges {
  const some: Partial<Record<Dimension, number>> = {}
  for (const name in charges) {
    const amount = charges[name as Dimension]
    if (amount !== undefined && amount !== 0) some[name as Dimension] = amount
  }
  return some
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
