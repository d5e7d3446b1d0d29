import { AuthorityError } from '@authority/protocol'
import { type Charges, DIMENSIONS, type Dimension } from '../vocabulary/index.ts'
import type { Account } from './account.ts'
import { Accounts, type Path } from './accounts.ts'
import { at, Charged, charged, indexOf, noAmounts, readCharges } from './amounts.ts'
import { Histories } from './history.ts'
import { MAX_OPEN_RESERVATIONS } from './limits.ts'
import { MarkBook } from './mark-book.ts'
import { type OnMark, SoftMarks } from './marks.ts'
import type {
  AccountName,
  BudgetRow,
  BudgetStage,
  HistoryRow,
  NumberedMark,
  Reservation,
  ReserveResult,
  Settlement,
  SharedBudget,
} from './types.ts'

/** Name of the account every effect of a run is charged to. */
export const RUN_ACCOUNT = 'run'

export interface BudgetOptions {
  /** Limits of the run (policy and command line, the lower of both); absent is unlimited. */
  readonly limits?: Charges
  /** Told once for each account, dimension and mark (50, 80, 95 % of the limit captured). Must not call back into the stage. */
  readonly onMark?: OnMark
  /** Bytes of the log so far: what the run has spent of `log_bytes`, where that has a limit. */
  readonly logBytes?: () => number
  /** ms since the epoch, for the history; absent, none is kept. */
  readonly wallMs?: () => number
}

export function createBudgetStage(options: BudgetOptions = {}): BudgetStage {
  return new BudgetLedger(options)
}

interface OpenReservation {
  readonly path: Path
  held: Charged
}

/** All of it synchronous: between the first look at an account and the last change nothing else can run. */
class BudgetLedger implements BudgetStage {
  readonly #accounts: Accounts
  readonly #open = new Map<number, OpenReservation>()
  readonly #marks: SoftMarks
  readonly #book = new MarkBook()
  readonly #wallMs: (() => number) | null
  #next = 1
  #shared: SharedBudget | null = null

  constructor({ limits, onMark, wallMs, logBytes }: BudgetOptions) {
    this.#accounts = new Accounts(wallMs === undefined ? null : new Histories(wallMs()))
    this.#wallMs = wallMs ?? null
    this.#marks = new SoftMarks((mark) => {
      this.#book.add(mark)
      onMark?.(mark)
    })
    this.limit(RUN_ACCOUNT, limits ?? {})
    if (logBytes !== undefined) this.#accounts.declare(RUN_ACCOUNT).measureLogBytes(logBytes)
  }

  reserve(accounts: readonly AccountName[], charges: Charges): ReserveResult {
    const asked = charged(charges)
    if (this.#open.size >= MAX_OPEN_RESERVATIONS)
      throw new AuthorityError('E_RATE_LIMIT', `${MAX_OPEN_RESERVATIONS} effects are under way`, { hint: 'Wait for some of them to end.' })
    const path = this.#accounts.path(accounts)
    const refusal = refusalOf(path, asked)
    if (refusal !== null) return refusal
    refuseHoarding(path)
    for (const account of path.accounts) {
      account.hold(asked)
      account.open += 1
    }
    const id = this.#next++
    this.#open.set(id, { path, held: asked })
    return { ok: true, reservation: { id, accounts: path.names, charges: asked.charges } }
  }

  extend(reservation: Reservation, more: Charges): ReserveResult {
    const asked = charged(more)
    const open = this.#find(reservation)
    if (open === null) throw new RangeError(`reservation ${reservation.id} is settled and cannot be extended`)
    const refusal = refusalOf(open.path, asked)
    if (refusal !== null) return refusal
    for (const account of open.path.accounts) account.hold(asked)
    const { amounts } = open.held
    open.held = new Charged(amounts.map((amount, i) => amount + at(asked.amounts, i)))
    return { ok: true, reservation: { id: reservation.id, accounts: open.path.names, charges: open.held.charges } }
  }

  reserveShared(accounts: readonly AccountName[], charges: Charges): ReserveResult | Promise<ReserveResult> {
    const shared = this.#shared
    if (shared === null) return this.reserve(accounts, charges)
    const all = shared.beside(accounts)
    return shared.reserve(() => this.reserve(all, charges), all, charges)
  }

  async extendShared(reservation: Reservation, more: Charges): Promise<ReserveResult> {
    const shared = this.#shared
    if (shared === null) return this.extend(reservation, more)
    return shared.reserve(() => this.extend(reservation, more), reservation.accounts, more)
  }

  availableShared(accounts: readonly AccountName[], dimension: Dimension): number {
    return Math.min(this.available(accounts, dimension), this.#shared?.obtainable(accounts, dimension) ?? Number.POSITIVE_INFINITY)
  }

  join(share: SharedBudget): void {
    this.#shared = share
  }

  get sharedAccounts(): readonly AccountName[] {
    return this.#shared?.accounts ?? []
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

  settle(reservation: Reservation, actual?: Charges): Settlement {
    const stated = actual === undefined ? null : charged(actual)
    const open = this.#find(reservation)
    if (open === null) return ALREADY_SETTLED
    const used = (stated ?? (reservation.charges === open.held.charges ? open.held : charged(reservation.charges))).spent
    let overrun = false
    for (const place of used.places) if (at(used.amounts, place) > at(open.held.amounts, place)) overrun = true
    this.#close(reservation.id, open, used)
    return { overrun, captured: used.charges }
  }

  void(reservation: Reservation): void {
    const open = this.#find(reservation)
    if (open !== null) this.#close(reservation.id, open, NOTHING)
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

  mostAtOnce(account: AccountName): number {
    return this.#accounts.find(account)?.mostAtOnce ?? 0
  }

  history(account: AccountName): readonly HistoryRow[] {
    const found = this.#accounts.find(account)
    if (found === undefined) return []
    return DIMENSIONS.map((dimension, index) => ({ dimension, points: found.historyOf(index) })).filter(({ points }) => points.length > 0)
  }

  marksAfter(number: number, accounts: readonly AccountName[]): readonly NumberedMark[] {
    return this.#book.after(number, accounts)
  }

  get lastMark(): number {
    return this.#book.last
  }

  nextMark(signal: AbortSignal): Promise<void> {
    return this.#book.next(signal)
  }

  #close(id: number, open: OpenReservation, used: Charged): void {
    this.#open.delete(id)
    const now = this.#wallMs?.() ?? 0
    for (const account of open.path.accounts) {
      account.open -= 1
      account.capture(open.held, used, now)
      this.#marks.look(account)
    }
  }

  /** Null when it was closed before: a second settlement, in whatever order it comes, changes nothing. One that was never given is a fault. */
  #find(reservation: Reservation): OpenReservation | null {
    const { id } = reservation
    if (!Number.isSafeInteger(id) || id < 1 || id >= this.#next) throw new RangeError(`there was never a reservation ${String(id)}`)
    return this.#open.get(id) ?? null
  }
}

const NOTHING = new Charged(noAmounts())
const ALREADY_SETTLED: Settlement = { overrun: false, captured: {} }

/** Throws E_RATE_LIMIT: who reserves and never ends must not take the places of siblings. */
function refuseHoarding({ accounts }: Path): void {
  for (const { open, maxOpen, name } of accounts)
    if (open >= maxOpen)
      throw new AuthorityError('E_RATE_LIMIT', `${maxOpen} effects of ${name} are under way, all that it may have`, {
        hint: 'Wait for some of them to end.',
      })
}

/** The first account, in the order of the path, that has no room. */
function refusalOf({ accounts }: Path, asked: Charged): Extract<ReserveResult, { ok: false }> | null {
  for (const account of accounts) {
    const index = account.refuses(asked)
    if (index < 0) continue
    const dimension = DIMENSIONS[index]
    if (dimension === undefined) continue
    const { name, frozenBy } = account
    return {
      ok: false,
      account: name,
      dimension,
      limit: account.limitOf(index),
      available: account.available(index),
      asked: at(asked.amounts, index),
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
    return [
      {
        account: account.name,
        dimension,
        limit: limited ? account.limitOf(index) : null,
        captured: limited ? account.toldOf(index) : captured,
        reserved,
      },
    ]
  })
}
