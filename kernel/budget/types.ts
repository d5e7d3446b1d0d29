/** What the pipeline knows of the budget stage (DESIGN 4.5; research security.md 6.4). */
import type { Charges, Dimension } from '../vocabulary/index.ts'

/** `run`, or `block:<32 hex digits>` for a capability block with a budget of its own. */
export type AccountName = string

export interface Reservation {
  /** Given by the stage, unique in the run. */
  readonly id: number
  readonly accounts: readonly AccountName[]
  readonly charges: Charges
}

export type ReserveResult =
  | { readonly ok: true; readonly reservation: Reservation }
  | {
      readonly ok: false
      readonly account: AccountName
      readonly dimension: Dimension
      readonly limit: number
      readonly available: number
      readonly asked: number
      readonly frozen: boolean
    }

export interface BudgetRow {
  readonly account: AccountName
  readonly dimension: Dimension
  readonly limit: number | null
  readonly captured: number
  readonly reserved: number
}

/** Invariant at every moment and for every account and dimension: captured + reserved ≤ limit, except an account frozen by OVERRUN. */
export interface BudgetStage {
  /** One synchronous step over all accounts: all fit or nothing changes. Unsafe, negative or fractional numbers are refused (ok: false is for limits; a RangeError is a fault of the caller). */
  reserve(accounts: readonly AccountName[], charges: Charges): ReserveResult
  /** Adds to a reservation (a lease that is renewed). */
  extend(reservation: Reservation, more: Charges): ReserveResult
  /** How much of a dimension is still free on the tightest of these accounts; Infinity when unlimited. */
  available(accounts: readonly AccountName[], dimension: Dimension): number
  /** Captures what was used and frees the rest. A dimension left out of `actual` was not used; `concurrency` is only ever freed. More than reserved: captured in full, `overrun` true, the accounts that no longer fit are frozen. Twice: no-op. */
  settle(reservation: Reservation, actual: Charges): { readonly overrun: boolean }
  /** Frees everything: only when it is known that nothing happened. Twice: no-op. */
  void(reservation: Reservation): void
  /** Declares an account's limits (policy, `--budget`, a token's block). Lower wins when declared again. */
  limit(account: AccountName, limits: Charges): void
  rows(accounts?: readonly AccountName[]): readonly BudgetRow[]
}
