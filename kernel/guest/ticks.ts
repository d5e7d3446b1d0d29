import { AuthorityError } from '@authority/protocol'
import { TICK_BURST, TICK_LEAST_MS } from './limits.ts'
import type { GuestClock } from './types.ts'

/** CPU time as the guest claims it from time to time: never going back, and no more often than it may. */
export class Ticks {
  readonly #clock: GuestClock
  #startedAt = 0
  #count = 0
  #cpuUs = 0

  constructor(clock: GuestClock) {
    this.#clock = clock
  }

  /** µs so far. */
  get cpuUs(): number {
    return this.#cpuUs
  }

  start(): void {
    this.#startedAt = this.#clock.now()
  }

  /** Throws E_PROTOCOL where there are too many. */
  take(cpuUs: number): void {
    this.#count++
    if (this.#count > TICK_BURST + (this.#clock.now() - this.#startedAt) / TICK_LEAST_MS)
      throw new AuthorityError('E_PROTOCOL', 'the guest floods the gate with ticks')
    this.#cpuUs = Math.max(this.#cpuUs, cpuUs)
  }
}
