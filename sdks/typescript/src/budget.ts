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
}
