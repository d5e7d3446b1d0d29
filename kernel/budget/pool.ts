import type { InstallationRecord } from '../audit/index.ts'
import type { SharedAmounts, SharedKey } from '../vocabulary/index.ts'
import type { TimeDimension } from './amounts.ts'
import { MAX_AMOUNT, POOL_SHARE } from './limits.ts'
import { POOL_KEYS, PoolSums, readShared } from './pool-keys.ts'

/**
 * What the installation log says of the shared budget. A run's lease counts in full, whatever it used of it, until the run says what it spent; one that
 * died says so when it is recovered. Invariant whenever something is leased: spent + leased ≤ limit.
 */
export class Pool {
  readonly #leases = new Map<string, PoolSums>()
  readonly #counted = new PoolSums()
  #limits: SharedAmounts = {}

  /** The next record in the order of the log. Throws RangeError for amounts that are none. */
  add(record: InstallationRecord): void {
    switch (record.type) {
      case 'BUDGET_LIMITS':
        readShared(record.limits)
        this.#limits = record.limits
        return
      case 'BUDGET_LEASE':
        return this.#lease(record.run, record.lease)
      case 'BUDGET_RETURN':
        return this.#giveBack(record.run, record.unused)
      case 'BUDGET_SPENT':
        return this.#end(record.run, record.spent)
      case 'BUDGET_ADJUST':
        return this.#adjust(record.shared)
    }
  }

  get limits(): SharedAmounts {
    return this.#limits
  }

  /** Spent by runs that ended and leased by those that did not. */
  get counted(): SharedAmounts {
    return this.#counted.amounts
  }

  leasedBy(run: string): SharedAmounts | null {
    return this.#leases.get(run)?.amounts ?? null
  }

  /** By all runs together that did not end. */
  leased(key: SharedKey): number {
    return [...this.#leases.values()].reduce((sum, leased) => sum + leased.of(key), 0)
  }

  /** Runs that hold a lease. */
  get runs(): readonly string[] {
    return [...this.#leases.keys()]
  }

  free(key: SharedKey): number {
    const limit = this.#limits[key]
    return limit === undefined ? Number.POSITIVE_INFINITY : Math.max(0, limit - this.#counted.of(key))
  }

  /** The first of a need that is not there; null when all is. */
  lacks(need: SharedAmounts): SharedKey | null {
    return POOL_KEYS.find((key) => (need[key] ?? 0) > this.free(key)) ?? null
  }

  /** What to lease for a need that is there: all of it in whole multiples, a part of what is free, so that runs neither ask each time nor starve each other. */
  share(need: SharedAmounts): SharedAmounts {
    const lease: Partial<Record<SharedKey, number>> = {}
    for (const key of POOL_KEYS) {
      const needed = need[key] ?? 0
      const free = this.free(key)
      const parts = free === Number.POSITIVE_INFINITY ? POOL_SHARE : Math.max(1, Math.floor(free / needed / POOL_SHARE))
      if (needed > 0) lease[key] = Math.min(MAX_AMOUNT, needed * parts)
    }
    return lease
  }

  /** Time to lease where `least` of it is soon to pass: a part of what is free, at most `most`; 0 when there is none. */
  shareOfTime(dimension: TimeDimension, least: number, most: number): number {
    const free = this.free(dimension)
    return Math.min(free, Math.max(least, Math.min(most, Math.floor(free / POOL_SHARE))))
  }

  #lease(run: string, lease: SharedAmounts): void {
    const leased = this.#leases.get(run) ?? new PoolSums()
    this.#leases.set(run, leased)
    for (const [key, amount] of readShared(lease)) {
      leased.add(key, amount)
      this.#counted.add(key, amount)
    }
  }

  /** Never more than is leased: a forged return makes no room. */
  #giveBack(run: string, unused: SharedAmounts): void {
    const amounts = readShared(unused)
    const leased = this.#leases.get(run)
    if (leased === undefined) return
    for (const [key, amount] of amounts) {
      const back = Math.min(amount, leased.of(key))
      leased.add(key, -back)
      this.#counted.add(key, -back)
    }
  }

  /** Never below nothing: what is free is never more than the limit. */
  #adjust(shared: SharedAmounts): void {
    for (const [key, amount] of readShared(shared)) this.#counted.add(key, -Math.min(amount, this.#counted.of(key)))
  }

  /** Once for a run: its lease is over. */
  #end(run: string, spent: SharedAmounts): void {
    const amounts = readShared(spent)
    const leased = this.#leases.get(run)
    if (leased === undefined) return
    this.#leases.delete(run)
    for (const [key, amount] of leased.entries()) this.#counted.add(key, -amount)
    for (const [key, amount] of amounts) this.#counted.add(key, amount)
  }
}
