import type { AuthorityError } from '@authority/protocol'
import type { AuditStage } from '../audit/types.ts'
import type { BudgetStage, Reservation, ReserveResult } from '../budget/types.ts'
import type { Charges } from '../vocabulary/index.ts'
import { logRefusal } from './budget-refusal.ts'
import { LEASE_RECORD_BYTES } from './limits.ts'

export interface ReserveMoreOptions {
  readonly audit: AuditStage
  readonly budget: BudgetStage
  /** Sequence number of the INTENT it belongs to. */
  readonly intent: number
  readonly reservation: Reservation
  /** Records the refusal; resolves with the denial. */
  readonly refuse: (refusal: Extract<ReserveResult, { ok: false }>) => Promise<AuthorityError>
}

/**
 * What an effect under way needs beyond its INTENT: reserved, and on record, before it is used. Throws the denial. `onReserved` is called in the step that writes
 * the record, before it; what it throws stops that.
 */
export async function reserveMore(
  { audit, budget, intent, reservation, refuse }: ReserveMoreOptions,
  more: Charges,
  onReserved: (reservation: Reservation) => void = () => undefined,
): Promise<void> {
  const noRoom = audit.hold(LEASE_RECORD_BYTES)
  if (noRoom !== null) throw await refuse(logRefusal(noRoom))
  const extended = await budget.extendShared(reservation, more).finally(() => audit.release(LEASE_RECORD_BYTES))
  if (!extended.ok) throw await refuse(extended)
  onReserved(extended.reservation)
  audit.append({ type: 'LEASE', intent, reserve: more })
  await audit.durable()
}
