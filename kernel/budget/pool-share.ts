import type { InstallationRecord } from '../audit/index.ts'
import type { Charges, Dimension, SharedAmounts, SharedKey } from '../vocabulary/index.ts'
import { TIME_DIMENSIONS, type TimeDimension } from './amounts.ts'
import { MAX_TIME_LEASE_MS, SLICE_MS, TIME_AHEAD_MS, TIME_LEASE_SLICES } from './limits.ts'
import type { OnMark } from './marks.ts'
import { Pool } from './pool.ts'
import { INSTALLATION_ACCOUNT, isSharedAccount, POOL_KEYS, poolBudget } from './pool-keys.ts'
import { PoolMarks } from './pool-marks.ts'
import { SharedAccounts } from './shared-accounts.ts'
import type { AccountName, BudgetStage, ReserveResult, SharedBudget } from './types.ts'

/** What a share needs of the installation log: answers the number of the record it appended. Everything from here to the answer happens under its lock, and is durable when it resolves. */
export interface PoolLog {
  transact(see: (record: InstallationRecord, seq: number) => void, decide: () => InstallationRecord | null): Promise<number | null>
}

export interface PoolShareOptions {
  readonly log: PoolLog
  readonly run: string
  readonly budget: BudgetStage
  /** Of the machine whose CPU time is leased; null where none is measured. */
  readonly cpus: number | null
  /** Puts the run's lease as it is now on the run's own record, before any of it can be reserved. */
  readonly onLease: (leased: SharedAmounts) => void
  /** Told when so much of what all runs share is spent or leased. */
  readonly onMark?: OnMark
}

/** What runs share as this one saw it last. */
export interface PoolState {
  readonly limits: SharedAmounts
  /** Spent by runs that ended and leased by those that did not. */
  readonly counted: SharedAmounts
}

/** A run's part of the installation's budget, leased as it is needed and given back when it is not. One transaction at a time. */
export class PoolShare implements SharedBudget {
  /** Of all operations. */
  readonly account = INSTALLATION_ACCOUNT
  readonly #options: PoolShareOptions
  readonly #pool = new Pool()
  readonly #marks: PoolMarks | null
  #own: SharedAccounts
  #seen = -1
  #turn: Promise<unknown> = Promise.resolve()
  #over = false
  /** What the run's record and its account say is leased. */
  #applied: SharedAmounts = {}
  #leasingTime = false
  /** ms that the last lease of time took. */
  readonly #timeLeased = new Map<TimeDimension, number>()
  /** Places, of all operations and of classes, that stayed free since some were given back last. */
  #idlePlaces: SharedAmounts = {}

  private constructor(options: PoolShareOptions) {
    this.#options = options
    this.#own = new SharedAccounts(options.budget, [])
    this.#marks = options.onMark === undefined ? null : new PoolMarks(options.onMark)
  }

  /** Null when the installation has no budget of its own. What it has is fixed for this run: a limit set later holds for later runs. The first time to pass is leased when this resolves. */
  static async open(options: PoolShareOptions): Promise<PoolShare | null> {
    const share = new PoolShare(options)
    await share.#transact(() => null)
    const { cpus } = options
    const keys = POOL_KEYS.filter((key) => key in share.#pool.limits && !(key === 'cpu_ms' && cpus === null))
    if (keys.length === 0) return null
    share.#own = new SharedAccounts(options.budget, keys)
    share.#apply()
    await share.leaseTime()
    return share
  }

  get state(): PoolState {
    return { limits: this.#pool.limits, counted: this.#pool.counted }
  }

  get accounts(): readonly AccountName[] {
    return this.#own.names
  }

  shares(dimension: Dimension): boolean {
    return this.#own.keys.includes(dimension)
  }

  beside(accounts: readonly AccountName[]): readonly AccountName[] {
    return this.#own.beside(accounts)
  }

  obtainable(accounts: readonly AccountName[], dimension: Dimension): number {
    const shared = this.#own.keysOf(accounts).filter((key) => poolBudget(key).dimension === dimension)
    return Math.min(Number.POSITIVE_INFINITY, ...shared.map((key) => this.#own.available(key) + this.#pool.free(key)))
  }

  /** Tries the reservation, leases what it lacks of the installation's budget, and tries again; both in one turn, so that no other request takes what was leased for it. */
  reserve(attempt: () => ReserveResult, accounts: readonly AccountName[], charges: Charges): Promise<ReserveResult> {
    return this.#inTurn(async () => {
      const first = attempt()
      if (first.ok || !isSharedAccount(first.account) || first.frozen || this.#over) return this.#noted(first)
      const lacking = await this.#lease(accounts, charges)
      const second = attempt()
      return this.#noted(second.ok || lacking === null ? second : this.#refusal(lacking, charges))
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
      if (this.#over) return
      const unused = this.#own.freePlaces(this.#idlePlaces)
      if (isAny(unused)) {
        const { run } = this.#options
        await this.#transact(() => ({ type: 'BUDGET_RETURN', run, unused }))
        this.#apply()
      }
      this.#idlePlaces = this.#own.freePlaces()
    })
  }

  /** The run is over: says what it spent and gives the rest back. What is still reserved counts as spent. */
  async end(): Promise<void> {
    await this.#turn
    if (this.#over) return
    this.#over = true
    const spent = this.#own.used
    // Nothing is reserved of a lease that is over.
    this.#own.limit(spent)
    const { run } = this.#options
    // Its log is sealed by now: a gate that began meanwhile may have said what it spent, and that is said once.
    await this.#transact(() => (this.#pool.leasedBy(run) === null ? null : { type: 'BUDGET_SPENT', run, spent }))
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(step)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  #noted(result: ReserveResult): ReserveResult {
    this.#idlePlaces = this.#own.freePlaces(this.#idlePlaces)
    return result
  }

  /** Leases what is lacking; answers what is not to be had. */
  async #lease(accounts: readonly AccountName[], charges: Charges): Promise<SharedKey | null> {
    const { run } = this.#options
    let lacks: SharedKey | null = null
    await this.#transact(() => {
      if (this.#isBehind()) return null
      const need = this.#own.lacking(accounts, charges)
      lacks = this.#pool.lacks(need)
      if (lacks === null) return isAny(need) ? { type: 'BUDGET_LEASE', run, lease: this.#pool.share(need) } : null
      // Another run may be able to use what is too little here.
      const unused = this.#own.unused(lacks)
      return isAny(unused) ? { type: 'BUDGET_RETURN', run, unused } : null
    })
    this.#apply()
    return lacks
  }

  /** Names what all runs together have too little of: after giving back what cannot be used, every account here is short. */
  #refusal(key: SharedKey, charges: Charges): ReserveResult {
    const { account, dimension } = poolBudget(key)
    const [available, limit] = [this.#own.available(key), this.#applied[key] ?? 0]
    return { ok: false, account, dimension, limit, available, asked: charges[dimension] ?? 0, frozen: false }
  }

  /** Time of which less is left than may pass before a lease is on disk. */
  #lowTime(): readonly TimeDimension[] {
    return TIME_DIMENSIONS.filter((dimension) => {
      if (!this.shares(dimension)) return false
      const cpus = this.#cpusOf(dimension)
      const least = (TIME_LEASE_SLICES / 2) * SLICE_MS * cpus
      const half = (this.#timeLeased.get(dimension) ?? 0) / 2
      return this.#own.available(dimension) < Math.max(least, Math.min(half, TIME_AHEAD_MS * cpus))
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
    return this.#own.keys.some((key) => (leased[key] ?? 0) > (this.#applied[key] ?? 0))
  }

  #apply(): void {
    const limits = this.#leased()
    if (this.#own.keys.every((key) => limits[key] === this.#applied[key])) return
    this.#options.onLease(limits)
    this.#applied = limits
    this.#own.limit(limits)
  }

  #leased(): SharedAmounts {
    const leased = this.#pool.leasedBy(this.#options.run) ?? {}
    return this.#own.each((key) => leased[key] ?? 0)
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

  #shrink(unused: SharedAmounts): void {
    const leased = this.#leased()
    this.#applied = {}
    this.#own.limit(this.#own.each((key) => (leased[key] ?? 0) - (unused[key] ?? 0)))
  }
}

function isAny(amounts: SharedAmounts): boolean {
  return Object.values(amounts).some((amount) => amount > 0)
}
