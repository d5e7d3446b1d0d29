/** What the pipeline knows of the budget stage (DESIGN 4.5; research security.md 6.4). */
import type { Charges, Dimension } from '../vocabulary/index.ts'
import type { SOFT_MARKS } from './limits.ts'

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

export interface Settlement {
  readonly overrun: boolean
  /** Without zeros: a dimension that is absent was not touched. */
  readonly captured: Charges
}

export interface BudgetRow {
  readonly account: AccountName
  readonly dimension: Dimension
  readonly limit: number | null
  readonly captured: number
  readonly reserved: number
}

export interface HistoryPoint {
  /** ms since the epoch: a stretch of time in which something was captured begins. */
  readonly timeMs: number
  /** Captured before the next point; of the last point, until now. */
  readonly captured: number
}

/** How what an account captured of one dimension grew, oldest point first. */
export interface HistoryRow {
  readonly dimension: Dimension
  readonly points: readonly HistoryPoint[]
}

/** So many percent of a limit are spent. */
export interface Mark {
  readonly account: AccountName
  readonly dimension: Dimension
  readonly percent: (typeof SOFT_MARKS)[number]
  readonly captured: number
  readonly limit: number
}

export interface NumberedMark extends Mark {
  /** From 1 on, in the order they were told. */
  readonly number: number
}

/** A part of a budget that several runs share, leased as it is needed. */
export interface SharedBudget {
  /** Of all operations and of single classes. */
  readonly accounts: readonly AccountName[]
  /** `accounts` with those of `accounts` here that an effect charged to them is charged to as well. */
  beside(accounts: readonly AccountName[]): readonly AccountName[]
  /** What an effect charged to these can reserve of it at most, as far as was seen last: leased or still to lease. Infinity where it is not shared. */
  obtainable(accounts: readonly AccountName[], dimension: Dimension): number
  /** Tries, leases what is lacking, tries again. */
  reserve(attempt: () => ReserveResult, accounts: readonly AccountName[], charges: Charges): Promise<ReserveResult>
}

/** Invariant at every moment and for every account and dimension: captured + reserved ≤ limit, except an account frozen by OVERRUN. */
export interface BudgetStage {
  /** One synchronous step over all accounts: all fit or nothing changes. Unsafe, negative or fractional numbers are refused (ok: false is for limits; a RangeError is a fault of the caller). */
  reserve(accounts: readonly AccountName[], charges: Charges): ReserveResult
  /** Adds to a reservation (a lease that is renewed). */
  extend(reservation: Reservation, more: Charges): ReserveResult
  /** As `reserve`, of the installation's budget too where it has one (`join`): what this run lacks of it is leased first. Answers at once where nothing is shared. */
  reserveShared(accounts: readonly AccountName[], charges: Charges): ReserveResult | Promise<ReserveResult>
  /** As `extend`, likewise. */
  extendShared(reservation: Reservation, more: Charges): Promise<ReserveResult>
  /** From here on effects are charged to this share as well. */
  join(share: SharedBudget): void
  /** The accounts of what was joined; none where nothing is shared. */
  readonly sharedAccounts: readonly AccountName[]
  /** How much of a dimension is still free on the tightest of these accounts; Infinity when unlimited. */
  available(accounts: readonly AccountName[], dimension: Dimension): number
  /** As `available`, of what runs share too: other runs may have taken of that since. */
  availableShared(accounts: readonly AccountName[], dimension: Dimension): number
  /** Captures what was used and frees the rest. A dimension left out of `actual` was not used, and without it all of the reservation was; `concurrency` is only ever freed. More than reserved: captured in full, `overrun` true, the accounts that no longer fit are frozen. Twice: no-op. */
  settle(reservation: Reservation, actual?: Charges): Settlement
  /** Frees everything: only when it is known that nothing happened. Twice: no-op. */
  void(reservation: Reservation): void
  /** Declares an account's limits (policy, `--budget`, a token's block). Lower wins when declared again. */
  limit(account: AccountName, limits: Charges): void
  /** Sets the limits of an account that leases its share of something larger: up and down, never below what is spent and held. */
  lease(account: AccountName, limits: Charges): void
  rows(accounts?: readonly AccountName[]): readonly BudgetRow[]
  /** Effects under way under this account: the most there ever were (`concurrency` is held, so nothing of it is captured). */
  mostAtOnce(account: AccountName): number
  /** A row for each dimension of which the account captured something; at most MAX_HISTORY_POINTS points each. Empty without a clock. */
  history(account: AccountName): readonly HistoryRow[]
  /** Soft marks that these accounts passed, beyond a number; those of token blocks as far as they are kept. */
  marksAfter(number: number, accounts: readonly AccountName[]): readonly NumberedMark[]
  /** Number of the last mark there was; of whatever account. */
  readonly lastMark: number
  /** Resolves when any account passes its next mark. Rejects with the signal's reason. */
  nextMark(signal: AbortSignal): Promise<void>
}
