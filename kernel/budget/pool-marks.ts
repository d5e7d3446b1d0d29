import type { Charges, Dimension } from '../vocabulary/index.ts'
import { POOL_DIMENSIONS, SOFT_MARKS } from './limits.ts'
import type { OnMark } from './marks.ts'
import { INSTALLATION_ACCOUNT, type Pool } from './pool.ts'

/** Warns a run before what all runs share is used up: so much of a limit is spent or leased. Each mark once for a limit; of several passed at once the highest. */
export class PoolMarks {
  readonly #onMark: OnMark
  readonly #told = new Map<Dimension, { limit: number; marks: number }>()

  constructor(onMark: OnMark) {
    this.#onMark = onMark
  }

  look(pool: Pool): void {
    const { counted, limits } = pool
    for (const dimension of POOL_DIMENSIONS) {
      const limit = limits[dimension]
      // Places come and go with every effect.
      if (limit !== undefined && limit > 0 && dimension !== 'concurrency') this.#lookAt(dimension, limit, counted)
    }
  }

  #lookAt(dimension: Dimension, limit: number, counted: Charges): void {
    const captured = counted[dimension] ?? 0
    const before = this.#told.get(dimension)
    const told = before?.limit === limit ? before.marks : 0
    const passed = SOFT_MARKS.filter((percent) => captured / limit >= percent / 100)
    const percent = passed.at(-1)
    this.#told.set(dimension, { limit, marks: Math.max(told, passed.length) })
    if (percent !== undefined && passed.length > told) this.#onMark({ account: INSTALLATION_ACCOUNT, dimension, percent, captured, limit })
  }
}
