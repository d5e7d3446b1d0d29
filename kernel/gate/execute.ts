import { AuthorityError } from '@authority/protocol'
import type { Reservation } from '../budget/types.ts'
import type { ByteLease, EffectResult, Permit } from '../effects/contract.ts'
import type { Charges } from '../vocabulary/index.ts'
import { PipelineLease } from './lease.ts'
import { ABORT_GRACE_MS } from './limits.ts'
import { clipText } from './text.ts'
import type { AdmitRequest, Stages } from './types.ts'

/** What an effect holds of the budget: `work` is settled by its OUTCOME, `lease` (bytes) by its CLOSE when the effect took it. */
export interface Held {
  readonly work: Reservation
  readonly lease: Reservation
}

export interface ExecuteHooks {
  readonly decideAgain: Permit['decideAgain']
  readonly onLease: () => void
  readonly onLeaseClosed: () => void
}

/** execute → audit OUTCOME (durable). The INTENT is durable already. */
export async function executeAndRecord(
  stages: Stages,
  request: AdmitRequest,
  intent: number,
  held: Held,
  hooks: ExecuteHooks,
): Promise<EffectResult> {
  const { audit, budget } = stages
  const lease = new LeaseOnce(stages, intent, held.lease, hooks)
  const permit: Permit = { intent, signal: request.signal, decideAgain: hooks.decideAgain, lease: () => lease.take() }
  try {
    const result = await withinGrace(request, Promise.resolve(request.effect.execute(permit)))
    const captured = { ...held.work.charges, ...result.captured, concurrency: 0 }
    const { overrun } = budget.settle(held.work, captured)
    const leased = lease.settleUnlessTaken()
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
    throw await recordFailure(stages, request, intent, held, lease, error)
  }
}

/** What may have happened is charged in full; only bytes, which move through the lease alone, are known. */
async function recordFailure(
  stages: Stages,
  request: AdmitRequest,
  intent: number,
  held: Held,
  lease: LeaseOnce,
  error: unknown,
): Promise<AuthorityError> {
  const { audit, budget } = stages
  if (error instanceof AuthorityError && error.code === 'E_AUDIT') return error
  const failure =
    error instanceof AuthorityError
      ? error
      : new AuthorityError('E_INTERNAL', `${request.operation} failed inside the gate`, { cause: error })
  const captured = { ...held.work.charges, concurrency: 0 }
  budget.settle(held.work, captured)
  const leased = lease.settleUnlessTaken()
  audit.append({
    type: 'OUTCOME',
    intent,
    status: isUnknown(failure) ? 'unknown' : 'error',
    code: failure.code,
    captured: spent(captured),
    ...(leased === undefined ? {} : { leased }),
    detail: { errno: failure.errno, message: clipText(failure.message) },
  })
  await audit.durable()
  return failure
}

/** Whether the effect may have happened although it failed. */
function isUnknown(failure: AuthorityError): boolean {
  return failure.code === 'E_TIMEOUT' || failure.code === 'E_CANCELLED' || failure.code === 'E_INTERNAL'
}

/** The byte reservation of an effect: its own until taken, then the handle's. */
class LeaseOnce {
  private readonly stages: Stages
  private readonly intent: number
  private readonly reservation: Reservation
  private readonly hooks: ExecuteHooks
  private taken = false
  private settled = false

  constructor(stages: Stages, intent: number, reservation: Reservation, hooks: ExecuteHooks) {
    this.stages = stages
    this.intent = intent
    this.reservation = reservation
    this.hooks = hooks
  }

  take(): ByteLease {
    // After the OUTCOME the bytes are given back: an effect that was left behind must not move any.
    if (this.taken || this.settled) throw new AuthorityError('E_CANCELLED', 'the effect is over')
    this.taken = true
    this.hooks.onLease()
    return new PipelineLease(this.stages, this.intent, this.reservation, this.hooks.onLeaseClosed)
  }

  /** What the OUTCOME says is leased on, or undefined when nothing is. */
  settleUnlessTaken(): Charges | undefined {
    this.settled = true
    if (this.taken) return this.reservation.charges
    this.stages.budget.settle(this.reservation, {})
    return undefined
  }
}

/** Records hold no zeros: a dimension that is absent was not touched. */
function spent(charges: Charges): Charges {
  return Object.fromEntries(Object.entries(charges).filter(([, amount]) => amount !== 0))
}

export function abortError(signal: AbortSignal): AuthorityError {
  return signal.reason instanceof AuthorityError ? signal.reason : new AuthorityError('E_CANCELLED', 'the request was cancelled')
}

/** An effect hears its signal; one that does not is left behind after a grace, its outcome unknown. */
function withinGrace(request: AdmitRequest, work: Promise<EffectResult>): Promise<EffectResult> {
  const { signal } = request
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
