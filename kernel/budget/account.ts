import { DIMENSIONS, type Dimension } from '../vocabulary/index.ts'
import { type Amounts, at, type Charged, CONCURRENCY, isOnlyTime, isTime, LOG_BYTES, noAmounts } from './amounts.ts'
import { AccountHistory, type Histories } from './history.ts'
import { MAX_AMOUNT, MAX_OPEN_RESERVATIONS } from './limits.ts'
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
  maxOpen = MAX_OPEN_RESERVATIONS
  /** Effects under way: the most there ever were. */
  mostAtOnce = 0
  #logBytes: (() => number) | null = null
  /** Someone stated limits for it, if only none. */
  declared = false
  hasLimits = false
  /** Its limits are what was leased so far, and say nothing of how much there is. */
  leased = false

  constructor(name: string, histories: Histories | null) {
    this.name = name
    this.#history = histories === null ? null : new AccountHistory(histories)
  }

  /** Lower wins. A limit below what is spent and held already freezes the account: nothing more fits anyway, and the invariant holds. */
  limit(index: number, amount: number): void {
    this.#limitAt(index)
    this.#limits[index] = Math.min(this.limitOf(index), amount)
    this.#freezeIfOver(index)
  }

  /** A limit that may rise again. */
  lease(index: number, amount: number): void {
    this.leased = true
    this.#limitAt(index)
    this.#limits[index] = amount
    this.#freezeIfOver(index)
  }

  /** The first dimension that has no room for the amounts, or -1. */
  refuses(asked: Charged): number {
    if (this.#frozenBy !== null && !isOnlyTime(asked)) return this.#frozenBy
    const { amounts, places } = asked
    for (const place of places) if (at(amounts, place) > this.available(place)) return place
    return -1
  }

  /** Only after `refuses` said -1 for every account of the reservation. */
  hold({ amounts, places }: Charged): void {
    for (const place of places) this.#reserved[place] = this.reservedOf(place) + at(amounts, place)
    if (this.reservedOf(CONCURRENCY) > this.mostAtOnce) this.mostAtOnce = this.reservedOf(CONCURRENCY)
  }

  /** Ends a hold. What was used is captured in full even when it is more than was held; an account that cannot hold it is frozen. `now` is ms since the epoch, for the history. */
  capture(held: Charged, used: Charged, now: number): void {
    for (const place of held.places) this.#reserved[place] = this.reservedOf(place) - at(held.amounts, place)
    for (const place of used.places) {
      const amount = at(used.amounts, place)
      this.#history?.note(place, now, this.capturedOf(place))
      const room = MAX_AMOUNT - this.capturedOf(place) - this.reservedOf(place)
      if (amount > room) this.#frozenBy ??= place
      this.#captured[place] = this.capturedOf(place) + Math.min(amount, room)
      this.#freezeIfOver(place)
    }
    if (this.#logBytes !== null && this.isLimited(LOG_BYTES)) this.#history?.note(LOG_BYTES, now, this.toldOf(LOG_BYTES))
  }

  /** From here on somebody else counts this account's log bytes, records beside effects included; what effects were charged of them still counts against the limit here. */
  measureLogBytes(bytes: () => number): void {
    this.#logBytes = bytes
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

  /** What is said to be spent. */
  toldOf(index: number): number {
    return index === LOG_BYTES && this.#logBytes !== null ? this.#logBytes() : this.capturedOf(index)
  }

  reservedOf(index: number): number {
    return at(this.#reserved, index)
  }

  /** When its spending grew, oldest first; the last point is what is captured now. */
  historyOf(index: number): readonly HistoryPoint[] {
    return this.#history?.points(index, this.toldOf(index)) ?? []
  }

  /** Its history makes room for that of others. */
  forget(): void {
    this.#history?.release()
  }

  /** The dimension that froze it. */
  get frozenBy(): Dimension | null {
    return this.#frozenBy === null ? null : (DIMENSIONS[this.#frozenBy] ?? null)
  }

  #limitAt(index: number): void {
    this.#limited[index] = true
    this.hasLimits = true
  }

  #freezeIfOver(index: number): void {
    if (this.capturedOf(index) + this.reservedOf(index) > this.limitOf(index)) this.#frozenBy ??= index
  }
}
