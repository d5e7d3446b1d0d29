import type { Scope } from './scope.ts'
import type { CallOptions } from './wait.ts'

/** One budget of one account, in the unit of its dimension. */
export interface BudgetRow {
  readonly account: string
  /** `calls`, `tokens`, `cost_nano_usd`, `bytes`, `wall_time_ms`, … */
  readonly dimension: string
  /** null is unlimited. */
  readonly limit: number | null
  /** Spent. */
  readonly captured: number
  /** Held for effects under way. */
  readonly reserved: number
}

/** How what an account spent of one dimension grew. */
export interface BudgetHistory {
  readonly account: string
  readonly dimension: string
  /** Oldest first; the older, the wider the stretches they stand for. */
  readonly points: readonly BudgetPoint[]
}

export interface BudgetPoint {
  /** ms since the epoch: the start of a stretch in which something was spent. */
  readonly timeMs: number
  /** Spent before the next point; of the last point, until now. */
  readonly captured: number
}

export class Budget {
  readonly #scope: Scope

  constructor(scope: Scope) {
    this.#scope = scope
  }

  /** What is left of each budget this client's effects are charged to. */
  async status(options?: CallOptions): Promise<BudgetRow[]> {
    const [rows] = (await this.#scope.call('budget.status', [], options)) as readonly [
      readonly (readonly [string, string, number | null, number, number])[],
    ]
    return rows.map(([account, dimension, limit, captured, reserved]) => ({ account, dimension, limit, captured, reserved }))
  }

  /** How the spending of an account that `status` names went since the gate began: a row for each dimension, of at most 64 points. */
  async history(account = 'run', options?: CallOptions): Promise<BudgetHistory[]> {
    const [rows] = (await this.#scope.call('budget.history', [account], options)) as readonly [
      readonly (readonly [string, readonly (readonly [number, number])[]])[],
    ]
    return rows.map(([dimension, points]) => ({
      account,
      dimension,
      points: points.map(([timeMs, captured]) => ({ timeMs, captured })),
    }))
  }
}
