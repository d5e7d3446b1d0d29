import { ensureInstallation } from '@authority/kernel/audit'
import { isSharedAccount, POOL_KEYS, poolBudget } from '@authority/kernel/budget'
import { readPool } from '../runs/gate/shared-budget.ts'
import type { Home } from '../runs/home.ts'
import { refusingBudget } from '../ui/run-lines.ts'
import { denialsOf } from './denials.ts'

/** A budget that had no room for an effect of the run. */
export interface Refusing {
  readonly account: string
  readonly dimension: string
  /** How often, as far as the log tells denials apart. */
  readonly refused: number
}

/** The same of what all runs share, as it is now and not as it was at the refusal; null: it has no limit any more. */
export interface SharedRefusing extends Refusing {
  readonly limit: number | null
  /** Spent by runs that ended. */
  readonly captured: number
  /** Leased by runs that have not. */
  readonly reserved: number
  readonly free: number | null
}

/** `log`: folder of the run's log. */
export async function refusalsOf(log: string): Promise<readonly Refusing[]> {
  const found = new Map<string, Refusing>()
  for (const { record, count } of await denialsOf(log, { rule: 'budget:' })) {
    const budget = record.code === 'E_BUDGET_EXCEEDED' ? refusingBudget(record.rule) : null
    if (budget === null) continue
    const before = found.get(record.rule ?? '')?.refused ?? 0
    found.set(record.rule ?? '', { ...budget, refused: before + count })
  }
  return [...found.values()]
}

export async function sharedAmong(refusals: readonly Refusing[], home: Home): Promise<readonly SharedRefusing[]> {
  const shared = refusals.filter(({ account }) => isSharedAccount(account))
  if (shared.length === 0) return []
  const pool = await readPool(await ensureInstallation(home.path))
  return shared.flatMap((refusing) => {
    const key = POOL_KEYS.map(poolBudget).find(
      ({ account, dimension }) => account === refusing.account && dimension === refusing.dimension,
    )?.key
    if (key === undefined) return []
    const limit = pool.limits[key] ?? null
    const reserved = pool.leased(key)
    const captured = (pool.counted[key] ?? 0) - reserved
    return [{ ...refusing, limit, captured, reserved, free: limit === null ? null : pool.free(key) }]
  })
}
