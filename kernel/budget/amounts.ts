import { type Charges, DIMENSIONS, type Dimension } from '../vocabulary/index.ts'
import { MAX_AMOUNT } from './limits.ts'

/** One number per dimension, in the order of DIMENSIONS: no key of a caller's object ever names a field here. */
export type Amounts = number[]

export function noAmounts(): Amounts {
  return new Array<number>(DIMENSIONS.length).fill(0)
}

/** Throws RangeError for an unknown dimension and for everything that is not an integer from 0 to 2^53−1. */
export function readCharges(charges: Charges): Amounts {
  const amounts = noAmounts()
  for (const key of Reflect.ownKeys(charges)) {
    const index = DIMENSIONS.indexOf(key as Dimension)
    if (index < 0) throw new RangeError(`${String(key)} is not a dimension of a budget`)
    const amount: unknown = Reflect.get(charges, key)
    // An optional dimension a caller left open is the same as one it left out.
    if (amount === undefined) continue
    if (typeof amount !== 'number' || !Number.isSafeInteger(amount) || amount < 0)
      throw new RangeError(`${String(key)} is ${String(amount)}: amounts are integers from 0 to ${MAX_AMOUNT}`)
    amounts[index] = amount
  }
  return amounts
}

/** The amounts that are not zero. */
export function chargesOf(amounts: Amounts): Charges {
  const charges: Partial<Record<Dimension, number>> = {}
  for (let i = 0; i < amounts.length; i++) {
    const dimension = DIMENSIONS[i]
    if (dimension !== undefined && at(amounts, i) !== 0) charges[dimension] = at(amounts, i)
  }
  return charges
}

export function at(amounts: Amounts, index: number): number {
  return amounts[index] ?? 0
}

export function indexOf(dimension: Dimension): number {
  const index = DIMENSIONS.indexOf(dimension)
  if (index < 0) throw new RangeError(`${String(dimension)} is not a dimension of a budget`)
  return index
}

/** A gauge, not a quantity: held while something runs, never spent. */
export const CONCURRENCY = indexOf('concurrency')

const TIME: readonly boolean[] = DIMENSIONS.map((dimension) => dimension === 'wall_time_ms' || dimension === 'cpu_ms')

/** Time passes whether it is allowed or not. */
export function isTime(index: number): boolean {
  return TIME[index] === true
}

/** Some time and nothing else. */
export function isOnlyTime(amounts: Amounts): boolean {
  return amounts.some((amount) => amount > 0) && amounts.every((amount, index) => amount === 0 || isTime(index))
}
