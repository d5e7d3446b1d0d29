import type { Charges, Dimension, SharedAmounts, SharedKey } from '../vocabulary/index.ts'
import { TIME_DIMENSIONS } from './amounts.ts'
import { poolBudget } from './pool-keys.ts'
import type { AccountName, BudgetStage } from './types.ts'

/** A run's accounts of what runs share: of all operations and of classes, each limited to what is leased of it. */
export class SharedAccounts {
  readonly keys: readonly SharedKey[]
  readonly names: readonly AccountName[]
  readonly #budget: BudgetStage
  /** Of lists that cannot change any more: a token's stays the same as long as it lives. */
  readonly #beside = new WeakMap<readonly AccountName[], readonly AccountName[]>()

  constructor(budget: BudgetStage, keys: readonly SharedKey[]) {
    this.#budget = budget
    this.keys = keys
    this.names = [...new Set(keys.map((key) => poolBudget(key).account))]
  }

  /** `accounts`, and those here that an effect charged to them is charged to as well. */
  beside(accounts: readonly AccountName[]): readonly AccountName[] {
    const known = this.#beside.get(accounts)
    if (known !== undefined) return known
    const charged = new Set(this.keysOf(accounts).map((key) => poolBudget(key).account))
    const all = Object.freeze([...accounts, ...charged])
    if (Object.isFrozen(accounts)) this.#beside.set(accounts, all)
    return all
  }

  /** What an effect charged to these accounts uses: what is shared of all operations and of its class. */
  keysOf(accounts: readonly AccountName[]): readonly SharedKey[] {
    return this.keys.filter((key) => {
      const { classAccount } = poolBudget(key)
      return classAccount === null || accounts.includes(classAccount)
    })
  }

  limit(limits: SharedAmounts): void {
    for (const name of this.names) {
      const own = this.keys.map(poolBudget).filter(({ account, key }) => account === name && limits[key] !== undefined)
      this.#budget.lease(name, Object.fromEntries(own.map(({ key, dimension }) => [dimension, limits[key] ?? 0])))
    }
  }

  available(key: SharedKey): number {
    const { account, dimension } = poolBudget(key)
    return this.#budget.available([account], dimension)
  }

  lacking(accounts: readonly AccountName[], charges: Charges): SharedAmounts {
    const lacking: Partial<Record<SharedKey, number>> = {}
    for (const key of this.keysOf(accounts)) {
      const asked = charges[poolBudget(key).dimension] ?? 0
      if (asked > 0) lacking[key] = Math.max(0, asked - this.available(key))
    }
    return lacking
  }

  /** What is of no use here where `lacks` is not to be had: of a class, the others go on. Time is kept: it passes whatever was refused. */
  unused(lacks: SharedKey): SharedAmounts {
    const { account, classAccount } = poolBudget(lacks)
    const isTime = (dimension: Dimension): boolean => (TIME_DIMENSIONS as readonly Dimension[]).includes(dimension)
    return this.each(
      (key) => this.available(key),
      (key) => !isTime(poolBudget(key).dimension) && (classAccount === null || poolBudget(key).account === account),
    )
  }

  /** Places free now, of each at most so many. */
  freePlaces(most?: SharedAmounts): SharedAmounts {
    return this.each(
      (key) => Math.min(this.available(key), most === undefined ? Number.POSITIVE_INFINITY : (most[key] ?? 0)),
      (key) => poolBudget(key).dimension === 'concurrency',
    )
  }

  /** Spent and held. Places are not spent: they are free when the run is over. */
  get used(): SharedAmounts {
    const rows = this.#budget.rows(this.names)
    return this.each((key) => {
      const { account, dimension } = poolBudget(key)
      const row = rows.find((each) => each.account === account && each.dimension === dimension)
      return row === undefined || dimension === 'concurrency' ? 0 : row.captured + row.reserved
    })
  }

  each(amountOf: (key: SharedKey) => number, chosen: (key: SharedKey) => boolean = () => true): SharedAmounts {
    return Object.fromEntries(this.keys.filter(chosen).map((key) => [key, amountOf(key)]))
  }
}
