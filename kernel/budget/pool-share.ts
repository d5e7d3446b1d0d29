import type { InstallationRecord } from '../audit/index.ts'
import type { Charges, Dimension } from '../vocabulary/index.ts'
import { TIME_DIMENSIONS, type TimeDimension } from './amounts.ts'
import { MAX_TIME_LEASE_MS, POOL_DIMENSIONS, SLICE_MS, TIME_AHEAD_MS, TIME_LEASE_SLICES } from './limits.ts'
import type { OnMark } from './marks.ts'
import { INSTALLATION_ACCOUNT, Pool } from './pool.ts'
import { PoolMarks } from './pool-marks.ts'
import type { BudgetStage, ReserveResult, SharedBudget } from './types.ts'

/** What a share needs of the installation log: answers the number of the record it appended. Everything from here to the answer happens under its lock, and is durable when it resolves. */
export interface PoolLog {
  transact(see: (record: InstallationRecord, seq: number) => void, decide: () => InstallationRecord | null): Promise<number | null>
}

type PoolDimension = (typeof POOL_DIMENSIONS)[number]

export interface PoolShareOptions {
  readonly log: PoolLog
  readonly run: string
  readonly budget: BudgetStage
  /** Of the machine whose CPU time is leased; null where none is measured. */
  readonly cpus: number | null
  /** Puts the run's lease as it is now on the run's own record, before any of it can be reserved. */
  readonly onLease: (leased: Charges) => void
  /** Told when so much of what all runs share is spent or leased. */
  readonly onMark?: OnMark
}

/** What runs share as this one saw it last. */
export interface PoolState {
  readonly limits: Charges
  /** Spent by runs that ended and leased by those that did not. */
  readonly counted: Charges
}

/** A run's part of the installation's budget, leased as it is needed and given back when it is not. One transaction at a time. */
export class PoolShare implements SharedBudget {
  readonly account = INSTALLATION_ACCOUNT
  readonly #options: PoolShareOptions
  readonly #pool = new Pool()
  readonly #marks: PoolMarks | null
  #dimensions: readonly PoolDimension[] = []
  #seen = -1
  #turn: Promise<unknown> = Promise.resolve()
  #over = false
  /** What the run's record and its account say is leased. */
  #applied: Charges = {}
  #leasingTime = false
  /** ms that the last lease of time took. */
  readonly #timeLeased = new Map<TimeDimension, number>()
  /** Places that stayed free since some were given back last. */
  #idlePlaces = 0

  private constructor(options: PoolShareOptions) {
    this.#options = options
    this.#marks = options.onMark === undefined ? null : new PoolMarks(options.onMark)
  }

  /** Null when the installation has no budget of its own. What it has is fixed for this run: a limit set later holds for later runs. The first time to pass is leased when this resolves. */
  static async open(options: PoolShareOptions): Promise<PoolShare | null> {
    const share = new PoolShare(options)
    await share.#transact(() => null)
    const { cpus } = options
    share.#dimensions = POOL_DIMENSIONS.filter((dimension) => dimension in share.#pool.limits && !(dimension === 'cpu_ms' && cpus === null))
    if (share.#dimensions.length === 0) return null
    share.#apply()
    await share.leaseTime()
    return share
  }

  get state(): PoolState {
    return { limits: this.#pool.limits, counted: this.#pool.counted }
  }

  shares(dimension: PoolDimension): boolean {
    return this.#dimensions.includes(dimension)
  }

  obtainable(dimension: Dimension): number {
    const shared = this.#dimensions.find((each) => each === dimension)
    return shared === undefined ? Number.POSITIVE_INFINITY : this.#available(shared) + this.#pool.free(shared)
  }

  /** Tries the reservation, leases what it lacks of the installation's budget, and tries again; both in one turn, so that no other request takes what was leased for it. */
  reserve(attempt: () => ReserveResult, charges: Charges): Promise<ReserveResult> {
    return this.#inTurn(async () => {
      const first = attempt()
      if (first.ok || first.account !== INSTALLATION_ACCOUNT || first.frozen || this.#over) return this.#noted(first)
      await this.#lease(charges)
      return this.#noted(attempt())
    })
  }

  /**
   * Time cannot be held back until it is leased: what passes soon is leased before. Owed by whoever spends the time at every slice; does nothing while enough is
   * leased. Where nothing more is to be had, time ends with what is.
   */
  async leaseTime(): Promise<void> {
    if (this.#leasingTime || this.#over || this.#lowTime().length === 0) return
    this.#leasingTime = true
    try {
      await this.#inTurn(async () => {
        const { run } = this.#options
        await this.#transact(() => {
          const lease = this.#isBehind() ? {} : this.#timeToLease()
          return Object.keys(lease).length === 0 ? null : { type: 'BUDGET_LEASE', run, lease }
        })
        this.#apply()
      })
    } finally {
      this.#leasingTime = false
    }
  }

  /** Places nobody here needed since the last call go back to the other runs. */
  giveBackPlaces(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#over || !this.shares('concurrency')) return
      const idle = Math.min(this.#idlePlaces, this.#available('concurrency'))
      if (idle > 0) {
        const { run } = this.#options
        await this.#transact(() => ({ type: 'BUDGET_RETURN', run, unused: { concurrency: idle } }))
        this.#apply()
      }
      this.#idlePlaces = this.#available('concurrency')
    })
  }

  /** The run is over: says what it spent and gives the rest back. What is still reserved counts as spent. */
  async end(): Promise<void> {
    await this.#turn
    if (this.#over) return
    this.#over = true
    const spent = this.#used()
    // Nothing is reserved of a lease that is over.
    this.#options.budget.lease(INSTALLATION_ACCOUNT, spent)
    await this.#transact(() => ({ type: 'BUDGET_SPENT', run: this.#options.run, spent }))
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(step)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  #noted(result: ReserveResult): ReserveResult {
    if (this.shares('concurrency')) this.#idlePlaces = Math.min(this.#idlePlaces, this.#available('concurrency'))
    return result
  }

  async #lease(charges: Charges): Promise<void> {
    const { run } = this.#options
    await this.#transact(() => {
      if (this.#isBehind()) return null
      const lease = this.#pool.share(this.#lacking(charges))
      if (lease !== null) return Object.keys(lease).length === 0 ? null : { type: 'BUDGET_LEASE', run, lease }
      // Another run may be able to use what is too little here.
      const unused = this.#unused()
      return Object.values(unused).some((amount) => amount > 0) ? { type: 'BUDGET_RETURN', run, unused } : null
    })
    this.#apply()
  }

  /** Time of which less is left than may pass before a lease is on disk. */
  #lowTime(): readonly TimeDimension[] {
    return TIME_DIMENSIONS.filter((dimension) => {
      if (!this.shares(dimension)) return false
      const cpus = this.#cpusOf(dimension)
      const least = (TIME_LEASE_SLICES / 2) * SLICE_MS * cpus
      const half = (this.#timeLeased.get(dimension) ?? 0) / 2
      return this.#available(dimension) < Math.max(least, Math.min(half, TIME_AHEAD_MS * cpus))
    })
  }

  #timeToLease(): Charges {
    const lease: Partial<Record<TimeDimension, number>> = {}
    for (const dimension of this.#lowTime()) {
      const cpus = this.#cpusOf(dimension)
      const amount = this.#pool.shareOfTime(dimension, TIME_LEASE_SLICES * SLICE_MS * cpus, MAX_TIME_LEASE_MS * cpus)
      this.#timeLeased.set(dimension, amount)
      if (amount > 0) lease[dimension] = amount
    }
    return lease
  }

  /** How many of them time passes on at once. */
  #cpusOf(dimension: TimeDimension): number {
    return dimension === 'cpu_ms' ? (this.#options.cpus ?? 1) : 1
  }

  /** More is leased than the run's record could say: what may not be used yet must not be leased again. */
  #isBehind(): boolean {
    const leased = this.#leased()
    return this.#dimensions.some((dimension) => (leased[dimension] ?? 0) > (this.#applied[dimension] ?? 0))
  }

  #apply(): void {
    const limits = this.#leased()
    const { budget, onLease } = this.#options
    if (this.#dimensions.every((dimension) => limits[dimension] === this.#applied[dimension])) return
    onLease(limits)
    this.#applied = limits
    budget.lease(INSTALLATION_ACCOUNT, limits)
  }

  #leased(): Charges {
    const leased = this.#pool.leasedBy(this.#options.run) ?? {}
    return Object.fromEntries(this.#dimensions.map((dimension) => [dimension, leased[dimension] ?? 0]))
  }

  async #transact(decide: () => InstallationRecord | null): Promise<void> {
    let made: InstallationRecord | null = null
    const seq = await this.#options.log.transact(
      (record, at) => {
        if (at <= this.#seen) return
        this.#seen = at
        this.#pool.add(record)
      },
      () => {
        made = decide()
        // What is given back must not be reserved while the record is written.
        if (made?.type === 'BUDGET_RETURN') this.#shrink(made.unused)
        return made
      },
    )
    if (made !== null && seq !== null) {
      this.#pool.add(made)
      this.#seen = seq
    }
    this.#marks?.look(this.#pool)
  }

  #shrink(unused: Charges): void {
    const leased = this.#leased()
    const limits = Object.fromEntries(this.#dimensions.map((dimension) => [dimension, (leased[dimension] ?? 0) - (unused[dimension] ?? 0)]))
    this.#applied = {}
    this.#options.budget.lease(INSTALLATION_ACCOUNT, limits)
  }

  #lacking(charges: Charges): Charges {
    const lacking: Record<string, number> = {}
    for (const dimension of this.#dimensions) {
      const asked = charges[dimension] ?? 0
      if (asked > 0) lacking[dimension] = Math.max(0, asked - this.#available(dimension))
    }
    return lacking
  }

  /** Time is kept: it passes whatever was refused. */
  #unused(): Charges {
    const idle = this.#dimensions.filter((dimension) => !(TIME_DIMENSIONS as readonly PoolDimension[]).includes(dimension))
    return Object.fromEntries(idle.map((dimension) => [dimension, this.#available(dimension)]))
  }

  #available(dimension: PoolDimension): number {
    return this.#options.budget.available([INSTALLATION_ACCOUNT], dimension)
  }

  /** Places are not spent: they are free when the run is over. */
  #used(): Charges {
    const limited = this.#options.budget.rows([INSTALLATION_ACCOUNT]).filter(({ limit }) => limit !== null)
    return Object.fromEntries(
      limited.map(({ dimension, captured, reserved }) => [dimension, dimension === 'concurrency' ? 0 : captured + reserved]),
    )
  }
}
