/** What tests of shared budgets need. */
import { expect } from 'vitest'
import type { InstallationRecord } from '../audit/index.ts'
import type { SharedAmounts } from '../vocabulary/index.ts'
import type { OnMark } from './marks.ts'
import { Pool } from './pool.ts'
import { type PoolLog, PoolShare, type PoolShareOptions } from './pool-share.ts'
import { createBudgetStage } from './stage.ts'

export const run = (number: number): string => String(number).padStart(32, '0')

/** The installation log without its disk: one transaction at a time, in the order they were asked for. */
export function memoryLog(limits: SharedAmounts) {
  const records: InstallationRecord[] = [{ type: 'BUDGET_LIMITS', limits, by_uid: 0 }]
  let turn: Promise<unknown> = Promise.resolve()
  const log: PoolLog = {
    transact: (see, decide) => {
      const done = turn.then(() => {
        records.forEach(see)
        const record = decide()
        return record === null ? null : records.push(record) - 1
      })
      turn = done.catch(() => undefined)
      return done
    },
  }
  return { log, records }
}

/** Invariant over every prefix; returns the pool at its end. */
export function proven(records: readonly InstallationRecord[]): Pool {
  const pool = new Pool()
  for (const record of records) {
    pool.add(record)
    if (record.type !== 'BUDGET_LEASE') continue
    for (const [dimension, limit] of Object.entries(pool.limits))
      expect(pool.counted[dimension as keyof SharedAmounts] ?? 0).toBeLessThanOrEqual(limit)
  }
  return pool
}

export async function gateOf(
  log: PoolLog,
  number: number,
  cpus: number | null = null,
  more: Partial<Pick<PoolShareOptions, 'onLease' | 'onMark'>> & { readonly budgetMarks?: OnMark } = {},
) {
  const { budgetMarks, ...rest } = more
  const budget = createBudgetStage(budgetMarks === undefined ? {} : { onMark: budgetMarks })
  const share = await PoolShare.open({ log, run: run(number), budget, cpus, onLease: () => undefined, ...rest })
  if (share === null) throw new Error('there is a shared budget')
  budget.join(share)
  return { budget, share }
}
