import { type Charges, DIMENSIONS, type Dimension } from '../vocabulary/index.ts'
import { MAX_AMOUNT } from './limits.ts'

/** One number per dimension, in the order of DIMENSIONS: no key of a caller's object ever names a field here. */
export type Amounts = number[]

const NOTHING: Amounts = new Array<number>(DIMENSIONS.length).fill(0)

export function noAmounts(): Amounts {
  return NOTHING.slice()
}

/** Where each dimension stands. Of a Map: no key of a caller's object finds anything it inherits. */
const PLACES: ReadonlyMap<string | symbol, number> = new Map(DIMENSIONS.map((dimension, index) => [dimension, index]))

/** Throws RangeError for an unknown dimension and for everything that is not an integer from 0 to 2^53−1. */
export function readCharges(charges: Charges): Amounts {
  const amounts = noAmounts()
  for (const key of Reflect.ownKeys(charges)) {
    const index = PLACES.get(key)
    if (index === undefined) throw new RangeError(`${String(key)} is not a dimension of a budget`)
    const amount: unknown = Reflect.get(charges, key)
    // An optional dimension a caller left open is the same as one it left out.
    if (amount === undefined) continue
    if (typeof amount !== 'number' || !Number.isSafeInteger(amount) || amount < 0)
      throw new RangeError(`${String(key)} is ${String(amount)}: amounts are integers from 0 to ${MAX_AMOUNT}`)
    amounts[index] = amount
  }
  return amounts
}

/** Amounts as accounts go through them: an effect touches two or three of all dimensions, and each account it is charged to looks at those only. Not changed once made. */
export class Charged {
  readonly amounts: Amounts
  /** Of the amounts that are not zero. */
  readonly places: readonly number[]
  #charges: Charges | null = null
  #spent: Charged | null = null

  constructor(amounts: Amounts) {
    const places: number[] = []
    for (let i = 0; i < amounts.length; i++) if (amounts[i] !== 0) places.push(i)
    this.amounts = amounts
    this.places = places
  }

  /** In words, without zeros. */
  get charges(): Charges {
    this.#charges ??= chargesOf(this.amounts)
    return this.#charges
  }

  /** What of it can be spent: all but the gauge. */
  get spent(): Charged {
    if (at(this.amounts, CONCURRENCY) === 0) return this
    this.#spent ??= new Charged(this.amounts.with(CONCURRENCY, 0))
    return this.#spent
  }
}

/** What cannot change any more was read once: most effects are charged the same. */
const read = new WeakMap<Charges, Charged>()

/** As readCharges. */
export function charged(charges: Charges): Charged {
  const known = read.get(charges)
  if (known !== undefined) return known
  const made = new Charged(readCharges(charges))
  if (Object.isFrozen(charges)) read.set(charges, made)
  return made
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
  const index = PLACES.get(dimension)
  if (index === undefined) throw new RangeError(`${String(dimension)} is not a dimension of a budget`)
  return index
}

/** A gauge, not a quantity: held while something runs, never spent. */
export const CONCURRENCY = indexOf('concurrency')

/** Of a run counted by its log, which holds them to the limit itself. */
export const LOG_BYTES = indexOf('log_bytes')

export const TIME_DIMENSIONS = ['wall_time_ms', 'cpu_ms'] as const satisfies readonly Dimension[]
export type TimeDimension = (typeof TIME_DIMENSIONS)[number]

const TIME: readonly boolean[] = DIMENSIONS.map((dimension) => (TIME_DIMENSIONS as readonly Dimension[]).includes(dimension))

/** Time passes whether it is allowed or not. */
export function isTime(index: number): boolean {
  return TIME[index] === true
}

/** Some time and nothing else. */
export function isOnlyTime({ places }: Charged): boolean {
  return places.length > 0 && places.every(isTime)
}
