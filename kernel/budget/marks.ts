import { DIMENSIONS } from '../vocabulary/index.ts'
import type { Account } from './account.ts'
import { SOFT_MARKS } from './limits.ts'
import type { Mark } from './types.ts'

export type OnMark = (mark: Mark) => void

/** Warns before a limit refuses. Spending never goes back, so each mark is told once. */
export class SoftMarks {
  readonly #told = new WeakMap<Account, number[]>()
  readonly #onMark: OnMark

  constructor(onMark: OnMark) {
    this.#onMark = onMark
  }

  look(account: Account): void {
    // Of what was leased half is always soon used: marks of the whole are the pool's.
    if (!account.hasLimits || account.leased) return
    const told = this.#toldOf(account)
    for (let index = 0; index < DIMENSIONS.length; index++) {
      const dimension = DIMENSIONS[index]
      if (dimension === undefined || !account.isLimited(index)) continue
      const limit = account.limitOf(index)
      const captured = account.toldOf(index)
      for (let mark = told[index] ?? 0; mark < SOFT_MARKS.length; mark++) {
        const percent = SOFT_MARKS[mark]
        // Divided, not multiplied: a limit near 2^53 times 100 would not be exact.
        if (percent === undefined || limit === 0 || captured / limit < percent / 100) break
        told[index] = mark + 1
        this.#onMark({ account: account.name, dimension, percent, captured, limit })
      }
    }
  }

  #toldOf(account: Account): number[] {
    const known = this.#told.get(account)
    if (known !== undefined) return known
    const told = new Array<number>(DIMENSIONS.length).fill(0)
    this.#told.set(account, told)
    return told
  }
}
