import { type Dimension, OPERATION_CLASSES, type SharedAmounts, type SharedKey } from '../vocabulary/index.ts'
import { TIME_DIMENSIONS } from './amounts.ts'
import { MAX_AMOUNT, POOL_DIMENSIONS } from './limits.ts'
import type { AccountName } from './types.ts'

/** Account of what all runs of an installation share; a run's own is limited to what it has leased of it. `installation:net` of what they share of one class. */
export const INSTALLATION_ACCOUNT = 'installation'

export type PoolDimension = (typeof POOL_DIMENSIONS)[number]

/** One thing runs share, of all operations or of one class. */
interface PoolBudget {
  readonly key: SharedKey
  readonly account: AccountName
  /** Account of the run's own for the class; null is all of it. */
  readonly classAccount: AccountName | null
  readonly dimension: PoolDimension
}

const BUDGETS: ReadonlyMap<string, PoolBudget> = new Map(
  [
    ...POOL_DIMENSIONS.map((dimension): PoolBudget => ({ key: dimension, account: INSTALLATION_ACCOUNT, classAccount: null, dimension })),
    ...OPERATION_CLASSES.flatMap((name) =>
      // Time passes for a run as a whole.
      POOL_DIMENSIONS.filter((dimension) => !(TIME_DIMENSIONS as readonly Dimension[]).includes(dimension)).map(
        (dimension): PoolBudget => ({
          key: `${name}.${dimension}`,
          account: `${INSTALLATION_ACCOUNT}:${name}`,
          classAccount: `class:${name}`,
          dimension,
        }),
      ),
    ),
  ].map((budget) => [budget.key, budget]),
)

/** All there can be, `calls` and `net.calls`, totals first. */
export const POOL_KEYS: readonly SharedKey[] = [...BUDGETS.values()].map(({ key }) => key)

export function poolBudget(key: SharedKey): PoolBudget {
  const budget = BUDGETS.get(key)
  if (budget === undefined) throw new RangeError(`${String(key)} is nothing that runs share`)
  return budget
}

export function isSharedAccount(account: AccountName): boolean {
  return account === INSTALLATION_ACCOUNT || account.startsWith(`${INSTALLATION_ACCOUNT}:`)
}

/** Throws RangeError for what runs do not share and for everything that is not an integer from 0 to 2^53−1. */
export function readShared(amounts: SharedAmounts): readonly (readonly [SharedKey, number])[] {
  return Reflect.ownKeys(amounts).flatMap((name): readonly (readonly [SharedKey, number])[] => {
    const { key } = poolBudget(name as SharedKey)
    const amount: unknown = amounts[key]
    if (amount === undefined) return []
    if (typeof amount !== 'number' || !Number.isSafeInteger(amount) || amount < 0)
      throw new RangeError(`${key} is ${String(amount)}: amounts are integers from 0 to ${MAX_AMOUNT}`)
    return [[key, amount]]
  })
}

/** Sums of what runs share; none is above 2^53−1. */
export class PoolSums {
  readonly #sums = new Map<SharedKey, number>()

  of(key: SharedKey): number {
    return this.#sums.get(key) ?? 0
  }

  add(key: SharedKey, amount: number): void {
    this.#sums.set(key, Math.min(MAX_AMOUNT, this.of(key) + amount))
  }

  entries(): Iterable<readonly [SharedKey, number]> {
    return this.#sums
  }

  /** Without zeros. */
  get amounts(): SharedAmounts {
    return Object.fromEntries(POOL_KEYS.map((key) => [key, this.of(key)] as const).filter(([, amount]) => amount !== 0))
  }
}
