/** Re-proves from the installation log alone that its runs together never leased more than they may use. */
import { MAX_ADJUSTABLE_RUNS, MAX_LEASING_RUNS } from './limits.ts'
import type { Fields } from './shapes.ts'

type Amounts = { readonly [dimension: string]: number }

export class SharedBudget {
  #limits: Amounts = {}
  readonly #counted = new Map<string, number>()
  /** What the runs that ended last spent, less what was adjusted since; the oldest first. */
  readonly #spentBy = new Map<string, Map<string, number>>()
  /** Runs whose lease has not ended. */
  readonly #leases = new Map<string, Map<string, number>>()

  /** A sentence when the record breaks a rule, else null. */
  add(type: string, fields: Fields): string | null {
    switch (type) {
      case 'BUDGET_LIMITS':
        this.#limits = fields.limits as Amounts
        return null
      case 'BUDGET_LEASE':
        return this.#lease(fields.run as string, fields.lease as Amounts)
      case 'BUDGET_RETURN':
        return this.#giveBack(fields.run as string, fields.unused as Amounts)
      case 'BUDGET_SPENT':
        return this.#spent(fields.run as string, fields.spent as Amounts)
      case 'BUDGET_ADJUST':
        return this.#adjust(fields.run as string, fields.shared as Amounts)
      default:
        return null
    }
  }

  #lease(run: string, lease: Amounts): string | null {
    if (!this.#leases.has(run) && this.#leases.size >= MAX_LEASING_RUNS) return `more than ${MAX_LEASING_RUNS} runs hold a lease`
    const held = this.#leases.get(run) ?? new Map<string, number>()
    this.#leases.set(run, held)
    for (const [dimension, amount] of Object.entries(lease)) {
      held.set(dimension, (held.get(dimension) ?? 0) + amount)
      const sum = this.#count(dimension, amount)
      const limit = Object.hasOwn(this.#limits, dimension) ? (this.#limits[dimension] as number) : Number.POSITIVE_INFINITY
      if (amount > 0 && sum > limit) return `${dimension} of the installation reaches ${sum} of ${limit}`
    }
    return null
  }

  #giveBack(run: string, unused: Amounts): string | null {
    const held = this.#leases.get(run)
    for (const [dimension, amount] of Object.entries(unused)) {
      const left = (held?.get(dimension) ?? 0) - amount
      if (left < 0) return `run ${run} returns more ${dimension} than it leased`
      held?.set(dimension, left)
      this.#count(dimension, -amount)
    }
    return null
  }

  #spent(run: string, spent: Amounts): string | null {
    const held = this.#leases.get(run)
    if (held === undefined) return this.#isNothing(spent) ? null : `run ${run} spends of a lease it does not hold`
    this.#leases.delete(run)
    for (const [dimension, amount] of held) this.#count(dimension, -amount)
    for (const [dimension, amount] of Object.entries(spent)) this.#count(dimension, amount)
    this.#spentBy.set(run, new Map(Object.entries(spent)))
    const [oldest] = this.#spentBy.keys()
    if (this.#spentBy.size > MAX_ADJUSTABLE_RUNS && oldest !== undefined) this.#spentBy.delete(oldest)
    return null
  }

  #adjust(run: string, shared: Amounts): string | null {
    const counts = this.#spentBy.get(run)
    for (const [dimension, amount] of Object.entries(shared)) {
      const left = (counts?.get(dimension) ?? 0) - amount
      if (left < 0) return `run ${run} is adjusted by more ${dimension} than it spent`
      counts?.set(dimension, left)
      this.#count(dimension, -amount)
    }
    return null
  }

  #isNothing(amounts: Amounts): boolean {
    return Object.values(amounts).every((amount) => amount === 0)
  }

  #count(dimension: string, amount: number): number {
    const sum = (this.#counted.get(dimension) ?? 0) + amount
    this.#counted.set(dimension, sum)
    return sum
  }
}
