import type { InstallationRecord } from '../audit/index.ts'
import type { Charges } from '../vocabulary/index.ts'
import { POOL_DIMENSIONS } from './limits.ts'
import { INSTALLATION_ACCOUNT, Pool } from './pool.ts'
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
  /** Puts the run's lease as it is now on the run's own record, before any of it can be reserved. */
  readonly onLease: (leased: Charges) => void
}

/** A run's part of the installation's budget, leased as it is needed and given back when it is not. One transaction at a time. */
export class PoolShare implements SharedBudget {
  readonly account = INSTALLATION_ACCOUNT
  readonly #options: PoolShareOptions
  readonly #pool = new Pool()
  #dimensions: readonly PoolDimension[] = []
  #seen = -1
  #turn: Promise<unknown> = Promise.resolve()
  #over = false

  private constructor(options: PoolShareOptions) {
    this.#options = options
  }

  /** Null when the installation has no budget of its own. What it has is fixed for this run: a limit set later holds for later runs. */
  static async open(options: PoolShareOptions): Promise<PoolShare | null> {
    const share = new PoolShare(options)
    await share.#transact(() => null)
    share.#dimensions = POOL_DIMENSIONS.filter((dimension) => dimension in share.#pool.limits)
    if (share.#dimensions.length === 0) return null
    share.#apply()
    return share
  }

  /** Tries the reservation, leases what it lacks of the installation's budget, and tries again; both in one turn, so that no other request takes what was leased for it. */
  reserve(attempt: () => ReserveResult, charges: Charges): Promise<ReserveResult> {
    const turn = this.#turn.then(async () => {
      const first = attempt()
      if (first.ok || first.account !== INSTALLATION_ACCOUNT || first.frozen || this.#over) return first
      await this.#lease(charges)
      return attempt()
    })
    this.#turn = turn.catch(() => undefined)
    return turn
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

  async #lease(charges: Charges): Promise<void> {
    const { run } = this.#options
    await this.#transact(() => {
      const lease = this.#pool.share(this.#lacking(charges))
      if (lease !== null) return Object.keys(lease).length === 0 ? null : { type: 'BUDGET_LEASE', run, lease }
      // Another run may be able to use what is too little here.
      const unused = this.#unused()
      return Object.values(unused).some((amount) => amount > 0) ? { type: 'BUDGET_RETURN', run, unused } : null
    })
    this.#apply()
  }

  #apply(): void {
    const { run, budget, onLease } = this.#options
    const leased = this.#pool.leasedBy(run) ?? {}
    const limits = Object.fromEntries(this.#dimensions.map((dimension) => [dimension, leased[dimension] ?? 0]))
    onLease(limits)
    budget.lease(INSTALLATION_ACCOUNT, limits)
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
  }

  #shrink(unused: Charges): void {
    const leased = this.#pool.leasedBy(this.#options.run) ?? {}
    const limits = Object.fromEntries(this.#dimensions.map((dimension) => [dimension, (leased[dimension] ?? 0) - (unused[dimension] ?? 0)]))
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

  #unused(): Charges {
    return Object.fromEntries(this.#dimensions.map((dimension) => [dimension, this.#available(dimension)]))
  }

  #available(dimension: PoolDimension): number {
    return this.#options.budget.available([INSTALLATION_ACCOUNT], dimension)
  }

  #used(): Charges {
    const limited = this.#options.budget.rows([INSTALLATION_ACCOUNT]).filter(({ limit }) => limit !== null)
    return Object.fromEntries(limited.map(({ dimension, captured, reserved }) => [dimension, captured + reserved]))
  }
}
