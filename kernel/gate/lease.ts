import { AuthorityError } from '@authority/protocol'
import type { AuditStage } from '../audit/types.ts'
import type { BudgetStage, Reservation } from '../budget/types.ts'
import type { ByteLease } from '../effects/contract.ts'
import type { Json } from '../vocabulary/index.ts'
import { LEASE_STEP_BYTES, MAX_LEASE_STEP_BYTES } from './limits.ts'

/** Bytes of one open handle or stream: reserved in its INTENT, renewed by durable LEASE records, settled by its CLOSE. */
export class PipelineLease implements ByteLease {
  private readonly audit: AuditStage
  private readonly budget: BudgetStage
  private readonly reservation: Reservation
  private readonly intent: number
  private left: number
  private spent = 0
  private step = LEASE_STEP_BYTES
  private renewing: Promise<void> = Promise.resolve()
  private closed: Promise<void> | null = null
  private readonly onClose: () => void

  constructor(stages: { audit: AuditStage; budget: BudgetStage }, intent: number, reservation: Reservation, onClose: () => void) {
    this.audit = stages.audit
    this.budget = stages.budget
    this.intent = intent
    this.reservation = reservation
    this.left = reservation.charges.bytes ?? 0
    this.onClose = onClose
  }

  spend(bytes: number): undefined | Promise<void> {
    if (this.closed !== null) return Promise.reject(new AuthorityError('E_CANCELLED', 'the handle is closed'))
    if (this.audit.latched !== null) return Promise.reject(new AuthorityError('E_AUDIT', this.audit.latched))
    if (bytes <= this.left) {
      this.left -= bytes
      this.spent += bytes
      return undefined
    }
    // One renewal at a time: a second spender must see what the first one left.
    const turn = this.renewing.then(() => this.renewFor(bytes))
    this.renewing = turn.catch(() => undefined)
    return turn
  }

  private async renewFor(bytes: number): Promise<void> {
    if (this.closed !== null) throw new AuthorityError('E_CANCELLED', 'the handle is closed')
    while (bytes > this.left) {
      const needed = bytes - this.left
      const free = this.budget.available(this.reservation.accounts, 'bytes')
      const more = Math.max(needed, Math.min(this.step, free))
      const extended = this.budget.extend(this.reservation, { bytes: more })
      if (!extended.ok)
        throw new AuthorityError(
          'E_BUDGET_EXCEEDED',
          `the bytes budget of ${extended.account} is used up: ${extended.available} of ${extended.limit} bytes are left, ${needed} more are needed`,
          {
            hint: `raise it with --budget bytes=N or "budgets": {"bytes": N} in the policy`,
          },
        )
      this.step = Math.min(this.step * 2, MAX_LEASE_STEP_BYTES)
      this.audit.append({ type: 'LEASE', intent: this.intent, reserve: { bytes: more } })
      await this.audit.durable()
      this.left += more
    }
    this.left -= bytes
    this.spent += bytes
  }

  close(detail: { readonly [key: string]: Json }): Promise<void> {
    this.closed ??= this.finish(detail)
    return this.closed
  }

  private async finish(detail: { readonly [key: string]: Json }): Promise<void> {
    await this.renewing
    const captured = { bytes: this.spent }
    this.audit.append({ type: 'CLOSE', intent: this.intent, captured, detail })
    this.budget.settle(this.reservation, captured)
    this.onClose()
    await this.audit.durable()
  }
}
