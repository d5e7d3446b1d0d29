import type { SharedAmounts, SharedKey } from '../vocabulary/index.ts'
import { SOFT_MARKS } from './limits.ts'
import type { OnMark } from './marks.ts'
import type { Pool } from './pool.ts'
import { POOL_KEYS, poolBudget } from './pool-keys.ts'

/** Warns a run before what all runs share is used up: so much of a limit is spent or leased. Each mark once for a limit; of several passed at once the highest. */
export class PoolMarks {
  readonly #onMark: OnMark
  readonly #told = new Map<SharedKey, { limit: number; marks: number }>()

  constructor(onMark: OnMark) {
    this.#onMark = onMark
  }

  look(pool: Pool): void {
    const { counted, limits } = pool
    for (const key of POOL_KEYS) {
      const limit = limits[key]
      // Places come and go with every effect.
      if (limit !== undefined && limit > 0 && poolBudget(key).dimension !== 'concurrency') this.#lookAt(key, limit, counted)
    }
  }

  #lookAt(key: SharedKey, limit: number, counted: SharedAmounts): void {
    const captured = counted[key] ?? 0
    const before = this.#told.get(key)
    const told = before?.limit === limit ? before.marks : 0
    const passed = SOFT_MARKS.filter((percent) => captured / limit >= percent / 100)
    const percent = passed.at(-1)
    this.#told.set(key, { limit, marks: Math.max(told, passed.length) })
    if (percent === undefined || passed.length <= told) return
    const { account, dimension } = poolBudget(key)
    this.#onMark({ account, dimension, percent, captured, limit })
  }
}
