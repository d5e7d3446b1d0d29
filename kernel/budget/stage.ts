import { AuthorityError } from '@authority/protocol'
import { type Charges, DIMENSIONS, type Dimension } from '../vocabulary/index.ts'
import type { Account } from './account.ts'
import { Accounts } from './accounts.ts'
import { type Amounts, at, CONCURRENCY, chargesOf, indexOf, noAmounts, readCharges } from './amounts.ts'
import { Histories } from './history.ts'
import { MAX_OPEN_RESERVATIONS } from './limits.ts'
import { type OnMark, SoftMarks } from './marks.ts'
import type { AccountName, BudgetRow, BudgetStage, HistoryRow, Reservation, ReserveResult, SharedBudget } from './types.ts'

/** Name of the account every effect of a run is charged to. */
export const RUN_ACCOUNT = 'run'

export interface BudgetOptions {
  /** Limits of the run (policy and command line, the lower of both); absent is unlimited. */
  readonly limits?: Charges
  /** Told once for each account, dimension and mark (50, 80, 95 % of the limit captured). Must not call back into the stage. */
  readonly onMark?: OnMark
  /** ms since the epoch, for the history; absent, none is kept. */
  readonly wallMs?: () => number
}

export function createBudgetStage(options: BudgetOptions = {}): BudgetStage {
  return new BudgetLedger(options)
}

interface OpenReservation {
  readonly path: readonly Account[]
  readonly accounts: readonly AccountName[]
  readonly held: Amounts
}

/** All of it synchronous: between the first look at an account and the last change nothing else can run. */
class BudgetLedger implements BudgetStage {
  readonly #accounts: Accounts
  readonly #open = new Map<number, OpenReservation>()
  readonly #marks: SoftMarks | null
  readonly #wallMs: (() => number) | null
  #next = 1
  #shared: SharedBudget | null = null

  constructor({ limits, onMark, wallMs }: BudgetOptions) {
    this.#accounts = new Accounts(wallMs === undefined ? null : new Histories(wallMs()))
    this.#wallMs = wallMs ?? null
    this.#marks = onMark === undefined ? null : new SoftMarks(onMark)
    this.limit(RUN_ACCOUNT, limits ?? {})
  }

  reserve(accounts: readonly AccountName[], charges: Charges): ReserveResult {
    const amounts = readCharges(charges)
    if (this.#open.size >= MAX_OPEN_RESERVATIONS)
      throw new AuthorityError('E_RATE_LIMIT', `${MAX_OPEN_RESERVATIONS} effects are under way`, { hint: 'Wait for some of them to end.' })
    const path = this.#accounts.path(accounts)
    const refusal = refusalOf(path, amounts)
    if (refusal !== null) return refusal
    for (const account of path) {
      account.hold(amounts)
      account.open += 1
    }
    const id = this.#next++
    const names = path.map((account) => account.name)
    this.#open.set(id, { path, accounts: names, held: amounts })
    return { ok: true, reservation: { id, accounts: names, charges: chargesOf(amounts) } }
  }

  extend(reservation: Reservation, more: Charges): ReserveResult {
    const amounts = readCharges(more)
    const open = this.#find(reservation)
    if (open === null) throw new RangeError(`reservation ${reservation.id} is settled and cannot be extended`)
    const refusal = refusalOf(open.path, amounts)
    if (refusal !== null) return refusal
    for (const account of open.path) account.hold(amounts)
    for (let i = 0; i < amounts.length; i++) open.held[i] = at(open.held, i) + at(amounts, i)
    return { ok: true, reservation: { id: reservation.id, accounts: open.accounts, charges: chargesOf(open.held) } }
  }

  reserveShared(accounts: readonly AccountName[], charges: Charges): ReserveResult | Promise<ReserveResult> {
    const shared = this.#shared
    if (shared === null) return this.reserve(accounts, charges)
    return shared.reserve(() => this.reserve([...accounts, shared.account], charges), charges)
  }

  async extendShared(reservation: Reservation, more: Charges): Promise<ReserveResult> {
    const shared = this.#shared
    if (shared === null) return this.extend(reservation, more)
    return shared.reserve(() => this.extend(reservation, more), more)
  }

  join(share: SharedBudget): void {
    this.#shared = share
  }

  available(accounts: readonly AccountName[], dimension: Dimension): number {
    const index = indexOf(dimension)
    let least = Number.POSITIVE_INFINITY
    for (const name of accounts) {
      const account = this.#accounts.find(name)
      if (account === undefined) continue
      if (account.isLimited(index) || account.frozenBy !== null) least = Math.min(least, account.available(index))
    }
    return least
  }

  settle(reservation: Reservation, actual: Charges): { readonly overrun: boolean } {
    const used = readCharges(actual)
    const open = this.#find(reservation)
    if (open === null) return { overrun: false }
    used[CONCURRENCY] = 0
    let overrun = false
    for (let i = 0; i < used.length; i++) if (at(used, i) > at(open.held, i)) overrun = true
    this.#close(reservation.id, open, used)
    return { overrun }
  }

  void(reservation: Reservation): void {
    const open = this.#find(reservation)
    if (open !== null) this.#close(reservation.id, open, noAmounts())
  }

  limit(account: AccountName, limits: Charges): void {
    readCharges(limits)
    const found = this.#accounts.declare(account)
    for (const [index, dimension] of DIMENSIONS.entries()) {
      const amount = limits[dimension]
      if (amount !== undefined) found.limit(index, amount)
    }
  }

  lease(account: AccountName, limits: Charges): void {
    const amounts = readCharges(limits)
    const found = this.#accounts.declare(account)
    for (const [index, dimension] of DIMENSIONS.entries()) if (limits[dimension] !== undefined) found.lease(index, at(amounts, index))
  }

  rows(accounts?: readonly AccountName[]): readonly BudgetRow[] {
    const chosen =
      accounts === undefined ? [...this.#accounts.all()] : [...new Set(accounts)].flatMap((name) => this.#accounts.find(name) ?? [])
    return chosen.flatMap(rowsOf)
  }

  history(account: AccountName): readonly HistoryRow[] {
    const found = this.#accounts.find(account)
    if (found === undefined) return []
    return DIMENSIONS.map((dimension, index) => ({ dimension, points: found.historyOf(index) })).filter(({ points }) => points.length > 0)
  }

  #close(id: number, open: OpenReservation, used: Amounts): void {
    this.#open.delete(id)
    const now = this.#wallMs?.() ?? 0
    for (const account of open.path) {
      account.open -= 1
      account.capture(open.held, used, now)
      this.#marks?.look(account)
    }
  }

  /** Null when it was closed before: a second settlement, in whatever order it comes, changes nothing. One that was never given is a fault. */
  #find(reservation: Reservation): OpenReservation | null {
    const { id } = reservation
    if (!Number.isSafeInteger(id) || id < 1 || id >= this.#next) throw new RangeError(`there was never a reservation ${String(id)}`)
    return this.#open.get(id) ?? null
  }
}

/** The first account, in the order of the path, that has no room. */
function refusalOf(path: readonly Account[], amounts: Amounts): Extract<ReserveResult, { ok: false }> | null {
  for (const account of path) {
    const index = account.refuses(amounts)
    const dimension = DIMENSIONS[index]
    if (dimension === undefined) continue
    const { name, frozenBy } = account
    return {
      ok: false,
      account: name,
      dimension,
      limit: account.limitOf(index),
      available: account.available(index),
      asked: at(amounts, index),
      frozen: frozenBy !== null,
    }
  }
  return null
}

/** What has a limit or was used. */
function rowsOf(account: Account): BudgetRow[] {
  return DIMENSIONS.flatMap((dimension, index): BudgetRow[] => {
    const captured = account.capturedOf(index)
    const reserved = account.reservedOf(index)
    const limited = account.isLimited(index)
    if (!limited && captured === 0 && reserved === 0) return []
    return [{ account: account.name, dimension, limit: limited ? account.limitOf(index) : null, captured, reserved }]
  })
}
