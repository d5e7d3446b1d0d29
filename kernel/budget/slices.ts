import type { Clock } from '../vocabulary/index.ts'
import type { TimeDimension } from './amounts.ts'
import { SLICE_MS } from './limits.ts'
import { RUN_ACCOUNT } from './stage.ts'
import type { AccountName, BudgetStage, Reservation } from './types.ts'

/**
 * Wall and CPU time of a run. Time cannot be held back until it is paid for, so it is reserved in slices and settled as it passes: a run overshoots by at
 * most one slice. Whoever owns the timer calls `tick` at least every `nextMs`; a late tick is captured in full.
 */
export interface TimeSlices {
  /** `cpuMs`: CPU time of the machine since its start, as measured from outside it; left out when unknown. */
  tick(cpuMs?: number): TimeTick
  /** Settles what has begun; the run is over. Twice: no-op. */
  stop(cpuMs?: number): TimeTick
}

export interface TimeTick {
  /** What is used up, and whose: the run must end now. */
  readonly exhausted: ExhaustedTime | null
  /** What passed since the last tick, for a TIME record; whole ms, the rest is carried over. */
  readonly captured: { readonly wall_time_ms: number; readonly cpu_ms: number }
  /** ms until the next tick is due. */
  readonly nextMs: number
}

export interface ExhaustedTime {
  readonly account: AccountName
  readonly dimension: TimeDimension
}

export interface TimeOptions {
  readonly budget: BudgetStage
  readonly clock: Clock
  readonly cpus: number
  /** Who pays; left out: the run. */
  readonly accounts?: (dimension: TimeDimension) => readonly AccountName[]
}

export function createTimeSlices(options: TimeOptions): TimeSlices {
  const { budget, clock, cpus, accounts = () => [RUN_ACCOUNT] } = options
  if (!Number.isSafeInteger(cpus) || cpus < 1) throw new RangeError(`a machine has at least one CPU, not ${cpus}`)
  const wall = new Meter(budget, accounts('wall_time_ms'), 'wall_time_ms', SLICE_MS, Math.floor(clock.monotonicMs()))
  const cpu = new Meter(budget, accounts('cpu_ms'), 'cpu_ms', SLICE_MS * cpus, 0)
  let stopped = false

  const pass = (cpuMs: number | undefined, last: boolean): TimeTick => {
    if (stopped) return { exhausted: null, captured: { wall_time_ms: 0, cpu_ms: 0 }, nextMs: SLICE_MS }
    stopped = last
    const captured = { wall_time_ms: wall.advance(clock.monotonicMs(), last), cpu_ms: cpu.advance(cpuMs ?? cpu.mark, last) }
    const exhausted = last ? null : (wall.exhausted ?? cpu.exhausted)
    return { exhausted, captured, nextMs: Math.max(1, Math.min(SLICE_MS, wall.held, Math.ceil(cpu.held / cpus))) }
  }
  return { tick: (cpuMs) => pass(cpuMs, false), stop: (cpuMs) => pass(cpuMs, true) }
}

/** One kind of time: always one slice reserved ahead. */
class Meter {
  readonly #budget: BudgetStage
  readonly #accounts: readonly AccountName[]
  readonly #dimension: TimeDimension
  readonly #slice: number
  /** Whole ms counted so far. */
  mark: number
  #reservation: Reservation | null = null

  constructor(budget: BudgetStage, accounts: readonly AccountName[], dimension: TimeDimension, slice: number, start: number) {
    this.#budget = budget
    this.#accounts = accounts
    this.#dimension = dimension
    this.#slice = slice
    this.mark = start
    this.#reserve()
  }

  get held(): number {
    return this.#reservation?.charges[this.#dimension] ?? 0
  }

  get exhausted(): ExhaustedTime | null {
    if (this.held > 0) return null
    const account = this.#accounts.find((name) => this.#budget.available([name], this.#dimension) === 0) ?? RUN_ACCOUNT
    return { account, dimension: this.#dimension }
  }

  /** Settles the time up to `now` and reserves the next slice; returns the whole ms that passed. A reading that went back or is no number counts nothing. */
  advance(now: number, last: boolean): number {
    const passed = Math.max(0, Math.floor(now) - this.mark)
    const whole = Number.isSafeInteger(passed) ? passed : 0
    this.mark += whole
    this.#settle(whole)
    if (!last) this.#reserve()
    return whole
  }

  #settle(passed: number): void {
    // With nothing left to reserve, time still passes until the machine is gone: it is captured, and freezes the account.
    const taken = this.#reservation ?? this.#hold(0)
    this.#reservation = null
    if (taken !== null) this.#budget.settle(taken, { [this.#dimension]: passed })
  }

  #reserve(): void {
    const free = Math.min(this.#slice, this.#budget.available(this.#accounts, this.#dimension))
    this.#reservation = free > 0 ? this.#hold(free) : null
  }

  #hold(amount: number): Reservation | null {
    const result = this.#budget.reserve(this.#accounts, { [this.#dimension]: amount })
    return result.ok ? result.reservation : null
  }
}
