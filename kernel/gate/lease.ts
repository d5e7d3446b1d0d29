import { AuthorityError } from '@authority/protocol'
import type { ByteLease } from '../effects/contract.ts'
import { BYTE_WAYS, type ByteWay, type Charges, type Dimension, type Json } from '../vocabulary/index.ts'
import { LEASE_STEP_BYTES, MAX_LEASE_STEP_BYTES } from './limits.ts'
import { type ReserveMoreOptions, reserveMore } from './reserve-more.ts'

export interface LeaseOptions extends ReserveMoreOptions {
  /** Why nothing may move any more although it was allowed once (a revocation, an expiry), or null. */
  readonly withdrawn: () => AuthorityError | null
  readonly onClose: () => void
}

/** What a lease holds. */
const MOVED: readonly Dimension[] = ['bytes', ...BYTE_WAYS]

/** Bytes of one open handle or stream: reserved in its INTENT, renewed by durable LEASE records, settled by its CLOSE. */
export class PipelineLease implements ByteLease {
  private readonly options: LeaseOptions
  private readonly held: Partial<Record<Dimension, number>>
  private readonly spent: Partial<Record<Dimension, number>> = { bytes: 0 }
  private recorded: Charges
  private step = LEASE_STEP_BYTES
  private renewing: Promise<void> = Promise.resolve()
  private closed: Promise<void> | null = null
  /** Why it was ended before its owner closed it. */
  private ended: AuthorityError | null = null
  private onClosed: () => void = () => undefined
  private end: ((error: AuthorityError) => void) | null = null

  constructor(options: LeaseOptions) {
    this.options = options
    this.held = { ...options.reservation.charges }
    this.recorded = options.reservation.charges
  }

  /** What it holds by the records so far: its INTENT's, and what it renewed since. */
  get reserved(): Charges {
    return this.recorded
  }

  spend(bytes: number, way: ByteWay): undefined | Promise<void> {
    // NaN compares false with everything: it would unbound the lease.
    if (!Number.isSafeInteger(bytes) || bytes < 0) return Promise.reject(new RangeError(`${bytes} is no number of bytes`))
    const stop = this.stopped()
    if (stop !== null) return Promise.reject(stop)
    if (bytes <= this.left('bytes') && bytes <= this.left(way)) return this.count(bytes, way)
    // One renewal at a time: a second spender must see what the first one left.
    const turn = this.renewing.then(() => this.renewFor(bytes, way))
    this.renewing = turn.catch(() => undefined)
    return turn
  }

  onWithdrawn(end: (error: AuthorityError) => void): void {
    this.end = end
    if (this.ended !== null) end(this.ended)
  }

  /** Resolves when its owner has closed it; null: it may go on. */
  endIfWithdrawn(): Promise<void> | null {
    if (this.closed !== null || this.ended !== null) return null
    this.ended = this.options.withdrawn()
    if (this.ended === null) return null
    const closing = new Promise<void>((resolve) => {
      this.onClosed = resolve
    })
    this.end?.(this.ended)
    return closing
  }

  close(detail: { readonly [key: string]: Json }): Promise<void> {
    this.closed ??= this.finish(detail)
    return this.closed
  }

  private async renewFor(bytes: number, way: ByteWay): Promise<void> {
    this.assertGoingOn()
    for (let lacking = this.lacking(bytes, way); Object.keys(lacking).length > 0; lacking = this.lacking(bytes, way)) {
      await this.renew(lacking)
      // What was closed or withdrawn while the record was written has moved nothing of it.
      this.assertGoingOn()
    }
    this.count(bytes, way)
  }

  /** What is to be reserved before these bytes may move: no dimension that is not needed, each in steps. */
  private lacking(bytes: number, way: ByteWay): Charges {
    const { budget, reservation } = this.options
    const more = (dimension: Dimension): number => {
      const needed = bytes - this.left(dimension)
      return needed <= 0 ? 0 : Math.max(needed, Math.min(this.step, budget.available(reservation.accounts, dimension)))
    }
    const [all, directed] = [more('bytes'), more(way)]
    return { ...(all > 0 ? { bytes: all } : {}), ...(directed > 0 ? { [way]: directed } : {}) }
  }

  private async renew(more: Charges): Promise<void> {
    await reserveMore(this.options, more, ({ charges }) => {
      this.recorded = charges
    })
    this.step = Math.min(this.step * 2, MAX_LEASE_STEP_BYTES)
    for (const dimension of MOVED) this.held[dimension] = (this.held[dimension] ?? 0) + (more[dimension] ?? 0)
  }

  private left(dimension: Dimension): number {
    return (this.held[dimension] ?? 0) - (this.spent[dimension] ?? 0)
  }

  private count(bytes: number, way: ByteWay): undefined {
    this.spent.bytes = (this.spent.bytes ?? 0) + bytes
    if (bytes > 0) this.spent[way] = (this.spent[way] ?? 0) + bytes
  }

  private stopped(): AuthorityError | null {
    if (this.ended !== null) return this.ended
    if (this.closed !== null) return new AuthorityError('E_CANCELLED', 'the handle is closed')
    const { latched } = this.options.audit
    if (latched !== null) return new AuthorityError('E_AUDIT', `the audit log cannot be written: ${latched}`)
    return this.options.withdrawn()
  }

  private assertGoingOn(): void {
    const stop = this.stopped()
    if (stop !== null) throw stop
  }

  private async finish(detail: { readonly [key: string]: Json }): Promise<void> {
    const { audit, budget, reservation, intent, onClose } = this.options
    await this.renewing
    const captured = { ...nothingOf(this.recorded), ...this.spent }
    budget.settle(reservation, captured)
    onClose()
    try {
      audit.append({ type: 'CLOSE', intent, captured, detail: this.ended === null ? detail : { ...detail, reason: this.ended.code } })
      await audit.durable()
    } finally {
      this.onClosed()
    }
  }
}

/** A CLOSE names all it held, also that of which nothing moved: a reader frees what it names, and before the OUTCOME nothing else. */
function nothingOf(held: Charges): Partial<Record<Dimension, number>> {
  return Object.fromEntries(MOVED.filter((dimension) => (held[dimension] ?? 0) > 0).map((dimension) => [dimension, 0]))
}
