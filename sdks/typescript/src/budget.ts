import { AuthorityError, MAX_DEADLINE_MS } from '@authority/protocol'
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

/** So many percent of a limit are spent: a warning before it refuses. */
export interface BudgetMark {
  readonly account: string
  readonly dimension: string
  /** 50, 80 or 95. */
  readonly percent: number
  /** Spent when it was passed. */
  readonly captured: number
  readonly limit: number
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

  /**
   * Each time 50, 80 or 95 % of a limit are spent, of the run, of a class of operations or of this client's token: those passed before first, then each as it is
   * passed. Never ends by itself: leave the loop, or give a `signal` (E_CANCELLED); with a `timeoutMs` it fails with E_TIMEOUT when none came for so long.
   */
  async *marks(options?: CallOptions): AsyncGenerator<BudgetMark, never, undefined> {
    for (let after = 0; ; ) {
      for (const [number, account, dimension, percent, captured, limit] of await this.#marksAfter(after, options)) {
        after = number
        yield { account, dimension, percent, captured, limit }
      }
    }
  }

  async #marksAfter(after: number, options: CallOptions | undefined): Promise<readonly MarkRow[]> {
    try {
      const patient = { ...options, timeoutMs: options?.timeoutMs ?? MAX_DEADLINE_MS }
      const [rows] = (await this.#scope.call('budget.marks', [after], patient)) as readonly [readonly MarkRow[]]
      return rows
    } catch (error) {
      if (options?.timeoutMs === undefined && error instanceof AuthorityError && error.code === 'E_TIMEOUT') return []
      throw error
    }
  }
}

type MarkRow = readonly [number: number, account: string, dimension: string, percent: number, captured: number, limit: number]
