import { DIMENSIONS, type Dimension } from '../vocabulary/index.ts'
import { type Amounts, at, isOnlyTime, isTime, noAmounts } from './amounts.ts'
import { AccountHistory, type Histories } from './history.ts'
import { MAX_AMOUNT } from './limits.ts'
import type { HistoryPoint } from './types.ts'

/** What one account has of each dimension. Invariant: captured + reserved ≤ limit, unless frozen; and never above 2^53−1. */
export class Account {
  readonly name: string
  readonly #limits: Amounts = new Array<number>(DIMENSIONS.length).fill(MAX_AMOUNT)
  readonly #limited: boolean[] = new Array<boolean>(DIMENSIONS.length).fill(false)
  readonly #captured = noAmounts()
  readonly #reserved = noAmounts()
  readonly #history: AccountHistory | null
  #frozenBy: number | null = null
  /** Reservations that stand on it. */
  open = 0
  /** Someone stated limits for it, if only none. */
  declared = false

  constructor(name: string, histories: Histories | null) {
    this.name = name
    this.#history = histories === null ? null : new AccountHistory(histories)
  }

  /** Lower wins. A limit below what is spent and held already freezes the account: nothing more fits anyway, and the invariant holds. */
  limit(index: number, amount: number): void {
    this.#limited[index] = true
    this.#limits[index] = Math.min(this.limitOf(index), amount)
    this.#freezeIfOver(index)
  }

  /** A limit that may rise again. */
  lease(index: number, amount: number): void {
    this.#limited[index] = true
    this.#limits[index] = amount
    this.#freezeIfOver(index)
  }

  /** The first dimension that has no room for `amounts`, or -1. */
  refuses(amounts: Amounts): number {
    if (this.#frozenBy !== null && !isOnlyTime(amounts)) return this.#frozenBy
    for (let i = 0; i < amounts.length; i++) if (at(amounts, i) > 0 && at(amounts, i) > this.available(i)) return i
    return -1
  }

  /** Only after `refuses` said -1 for every account of the reservation. */
  hold(amounts: Amounts): void {
    for (let i = 0; i < amounts.length; i++) if (at(amounts, i) > 0) this.#reserved[i] = this.reservedOf(i) + at(amounts, i)
  }

  /** Ends a hold. What was used is captured in full even when it is more than was held; an account that cannot hold it is frozen. `now` is ms since the epoch, for the history. */
  capture(held: Amounts, used: Amounts, now: number): void {
    for (let i = 0; i < held.length; i++) {
      if (at(held, i) === 0 && at(used, i) === 0) continue
      this.#reserved[i] = this.reservedOf(i) - at(held, i)
      if (at(used, i) > 0) this.#history?.note(i, now, this.capturedOf(i))
      const room = MAX_AMOUNT - this.capturedOf(i) - this.reservedOf(i)
      if (at(used, i) > room) this.#frozenBy ??= i
      this.#captured[i] = this.capturedOf(i) + Math.min(at(used, i), room)
      this.#freezeIfOver(i)
    }
  }

  available(index: number): number {
    // A freeze stops effects; the clock of a run that still computes goes on against its own limit.
    if (this.#frozenBy !== null && !(isTime(index) && this.#frozenBy !== index)) return 0
    return Math.max(0, this.limitOf(index) - this.capturedOf(index) - this.reservedOf(index))
  }

  /** 2^53−1 when unlimited. */
  limitOf(index: number): number {
    return at(this.#limits, index)
  }

  isLimited(index: number): boolean {
    return this.#limited[index] === true
  }

  capturedOf(index: number): number {
    return at(this.#captured, index)
  }

  reservedOf(index: number): number {
    return at(this.#reserved, index)
  }

  /** When its spending grew, oldest first; the last point is what is captured now. */
  historyOf(index: number): readonly HistoryPoint[] {
    return this.#history?.points(index, this.capturedOf(index)) ?? []
  }

  /** Its history makes room for that of others. */
  forget(): void {
    this.#history?.release()
  }

  /** The dimension that froze it. */
  get frozenBy(): Dimension | null {
    return this.#frozenBy === null ? null : (DIMENSIONS[this.#frozenBy] ?? null)
  }

  get hasLimits(): boolean {
    return this.#limited.includes(true)
  }

  #freezeIfOver(index: number): void {
    if (this.capturedOf(index) + this.reservedOf(index) > this.limitOf(index)) this.#frozenBy ??= index
  }
}
