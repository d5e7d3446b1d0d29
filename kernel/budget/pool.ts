import type { InstallationRecord } from '../audit/index.ts'
import type { Charges, Dimension } from '../vocabulary/index.ts'
import { type Amounts, at, chargesOf, indexOf, noAmounts, readCharges, type TimeDimension } from './amounts.ts'
import { MAX_AMOUNT, POOL_DIMENSIONS, POOL_SHARE } from './limits.ts'

/** Account of what all runs of an installation share; a run's own is limited to what it has leased of it. */
export const INSTALLATION_ACCOUNT = 'installation'

interface RunShare {
  readonly leased: Amounts
}

/**
 * What the installation log says of the shared budget. A run's lease counts in full, whatever it used of it, until the run says what it spent; one that
 * died says so when it is recovered. Invariant whenever something is leased: spent + leased ≤ limit.
 */
export class Pool {
  readonly #leases = new Map<string, RunShare>()
  readonly #counted = noAmounts()
  #limits: Charges = {}

  /** The next record in the order of the log. Throws RangeError for amounts that are none. */
  add(record: InstallationRecord): void {
    switch (record.type) {
      case 'BUDGET_LIMITS':
        readCharges(record.limits)
        this.#limits = record.limits
        return
      case 'BUDGET_LEASE':
        return this.#lease(record.run, readCharges(record.lease))
      case 'BUDGET_RETURN':
        return this.#giveBack(record.run, readCharges(record.unused))
      case 'BUDGET_SPENT':
        return this.#end(record.run, readCharges(record.spent))
    }
  }

  get limits(): Charges {
    return this.#limits
  }

  /** Spent by runs that ended and leased by those that did not. */
  get counted(): Charges {
    return chargesOf(this.#counted)
  }

  leasedBy(run: string): Charges | null {
    const share = this.#leases.get(run)
    return share === undefined ? null : chargesOf(share.leased)
  }

  /** Runs that hold a lease. */
  get runs(): readonly string[] {
    return [...this.#leases.keys()]
  }

  free(dimension: Dimension): number {
    const limit = this.#limits[dimension]
    if (limit === undefined) return Number.POSITIVE_INFINITY
    return Math.max(0, limit - at(this.#counted, indexOf(dimension)))
  }

  /** What to lease for a need: all of it in whole multiples, a part of what is free, so that runs neither ask each time nor starve each other. Null when it is not there. */
  share(need: Charges): Charges | null {
    const lease: Partial<Record<Dimension, number>> = {}
    for (const dimension of POOL_DIMENSIONS) {
      const needed = need[dimension] ?? 0
      const free = this.free(dimension)
      if (needed > free) return null
      const parts = free === Number.POSITIVE_INFINITY ? POOL_SHARE : Math.max(1, Math.floor(free / needed / POOL_SHARE))
      if (needed > 0) lease[dimension] = Math.min(MAX_AMOUNT, needed * parts)
    }
    return lease
  }

  /** Time to lease where `least` of it is soon to pass: a part of what is free, at most `most`; 0 when there is none. */
  shareOfTime(dimension: TimeDimension, least: number, most: number): number {
    const free = this.free(dimension)
    return Math.min(free, Math.max(least, Math.min(most, Math.floor(free / POOL_SHARE))))
  }

  #lease(run: string, amounts: Amounts): void {
    const share = this.#leases.get(run) ?? { leased: noAmounts() }
    this.#leases.set(run, share)
    for (let i = 0; i < amounts.length; i++) {
      share.leased[i] = Math.min(MAX_AMOUNT, at(share.leased, i) + at(amounts, i))
      this.#count(i, at(amounts, i))
    }
  }

  /** Never more than is leased: a forged return makes no room. */
  #giveBack(run: string, amounts: Amounts): void {
    const share = this.#leases.get(run)
    if (share === undefined) return
    for (let i = 0; i < amounts.length; i++) {
      const back = Math.min(at(amounts, i), at(share.leased, i))
      share.leased[i] = at(share.leased, i) - back
      this.#count(i, -back)
    }
  }

  /** Once for a run: its lease is over. */
  #end(run: string, spent: Amounts): void {
    const share = this.#leases.get(run)
    if (share === undefined) return
    this.#leases.delete(run)
    for (let i = 0; i < spent.length; i++) this.#count(i, at(spent, i) - at(share.leased, i))
  }

  #count(index: number, amount: number): void {
    this.#counted[index] = Math.min(MAX_AMOUNT, at(this.#counted, index) + amount)
  }
}
