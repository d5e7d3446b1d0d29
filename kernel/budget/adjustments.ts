import type { Adjustment, InstallationRecord } from '../audit/index.ts'
import type { Charges, Dimension, SharedAmounts, SharedKey } from '../vocabulary/index.ts'
import type { AdjustableEffect } from './adjustable.ts'
import { readCharges } from './amounts.ts'
import { MAX_ADJUSTABLE_RUNS, MAX_ADJUSTMENTS, MAX_AMOUNT } from './limits.ts'
import { poolBudget, readShared } from './pool-keys.ts'

export type AdjustRefusal =
  | { readonly refused: 'too_many_adjustments' | 'lease_not_settled' | 'too_many_runs_since' }
  /** An adjustment only ever lowers what is charged. */
  | { readonly refused: 'not_less'; readonly dimension: Dimension; readonly charged: number }

export type Lowered = Pick<Adjustment, 'lowered' | 'shared'>

/** What the installation log says was taken back of one run. */
export class RunAdjustments {
  readonly #run: string
  readonly #adjustments: Adjustment[] = []
  readonly #lowered = new Map<number, Charges>()
  /** What the run counts with of what runs share; null: it holds a lease, or never had one. */
  #counts: Map<SharedKey, number> | null = null
  #holds = false
  /** Runs that ended after this one. */
  #later = 0

  constructor(run: string) {
    this.#run = run
  }

  /** The next record in the order of the log. Throws RangeError for amounts that are none. */
  add(record: InstallationRecord): void {
    if (record.type === 'BUDGET_SPENT' && record.run !== this.#run && this.#counts !== null) this.#later += 1
    if (!('run' in record) || record.run !== this.#run) return
    if (record.type === 'BUDGET_LEASE') this.#holds = true
    if (record.type === 'BUDGET_SPENT') {
      this.#holds = false
      this.#counts ??= new Map(readShared(record.spent))
    }
    if (record.type === 'BUDGET_ADJUST') this.#adjust(record)
  }

  get all(): readonly Adjustment[] {
    return this.#adjustments
  }

  /** By effect, in sum. */
  get lowered(): ReadonlyMap<number, Charges> {
    return this.#lowered
  }

  /** How this effect is lowered to what it `actually` used, in the dimensions named. Throws RangeError for amounts that are none. */
  lower(effect: AdjustableEffect, actual: Charges): Lowered | AdjustRefusal {
    readCharges(actual)
    if (this.#adjustments.length >= MAX_ADJUSTMENTS) return { refused: 'too_many_adjustments' }
    if (this.#holds) return { refused: 'lease_not_settled' }
    if (this.#later >= MAX_ADJUSTABLE_RUNS && (this.#counts?.size ?? 0) > 0) return { refused: 'too_many_runs_since' }
    const before = this.#lowered.get(effect.intent) ?? {}
    const lowered: Partial<Record<Dimension, number>> = {}
    for (const [name, used] of Object.entries(actual)) {
      const dimension = name as Dimension
      const charged = (effect.captured[dimension] ?? 0) - (before[dimension] ?? 0)
      if (used >= charged) return { refused: 'not_less', dimension, charged }
      lowered[dimension] = charged - used
    }
    return { lowered, shared: this.#sharedOf(effect, lowered) }
  }

  /** No more than the run still counts with. */
  #sharedOf({ accounts }: AdjustableEffect, lowered: Charges): SharedAmounts {
    const shared: Partial<Record<SharedKey, number>> = {}
    for (const [key, left] of this.#counts ?? []) {
      const { account, dimension } = poolBudget(key)
      const amount = Math.min(left, lowered[dimension] ?? 0)
      if (amount > 0 && accounts.includes(account)) shared[key] = amount
    }
    return shared
  }

  #adjust({ run, intent, lowered, shared, reason, by_uid }: Adjustment): void {
    readCharges(lowered)
    this.#adjustments.push({ run, intent, lowered, shared, reason, by_uid })
    const sum: Partial<Record<Dimension, number>> = { ...this.#lowered.get(intent) }
    for (const [name, amount] of Object.entries(lowered)) {
      const dimension = name as Dimension
      sum[dimension] = Math.min(MAX_AMOUNT, (sum[dimension] ?? 0) + amount)
    }
    this.#lowered.set(intent, sum)
    for (const [key, amount] of readShared(shared)) this.#counts?.set(key, Math.max(0, (this.#counts.get(key) ?? 0) - amount))
  }
}
