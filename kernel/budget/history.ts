import { at, noAmounts } from './amounts.ts'
import { HISTORY_BUCKET_MS, MAX_HISTORIES, MAX_HISTORY_POINTS } from './limits.ts'
import type { HistoryPoint } from './types.ts'

const NEVER = Number.POSITIVE_INFINITY

/** What the accounts of a run share: where buckets are counted from, and how many dimensions may still remember more than one. */
export class Histories {
  readonly began: number
  #free = MAX_HISTORIES

  constructor(began: number) {
    this.began = began
  }

  take(): boolean {
    if (this.#free === 0) return false
    this.#free -= 1
    return true
  }

  giveBack(count: number): void {
    this.#free += count
  }
}

/**
 * How one account's spending went over time. Only the bucket under way is known by when it began; what was spent by its end is read from
 * the account when the next begins, so that a capture costs one comparison.
 */
export class AccountHistory {
  readonly #shared: Histories
  readonly #time = noAmounts()
  /** When the bucket under way ends; 0 before the first. */
  readonly #until = noAmounts()
  readonly #ended: (EndedBuckets | undefined)[] = []

  constructor(shared: Histories) {
    this.#shared = shared
  }

  /** Before a capture at `now`; `captured` is what was spent until here. A clock that went back stays in the bucket under way. */
  note(index: number, now: number, captured: number): void {
    if (now >= at(this.#until, index)) this.#begin(index, Math.max(now, this.#shared.began), captured)
  }

  /** `captured` is what is spent now. */
  points(index: number, captured: number): readonly HistoryPoint[] {
    if (at(this.#until, index) === 0) return []
    return [...(this.#ended[index]?.points() ?? []), { timeMs: at(this.#time, index), captured }]
  }

  /** The account is gone. */
  release(): void {
    this.#shared.giveBack(this.#ended.filter((ended) => ended !== undefined).length)
    this.#ended.length = 0
  }

  #begin(index: number, now: number, captured: number): void {
    let ended = this.#ended[index]
    if (at(this.#until, index) > 0) {
      if (ended === undefined) {
        if (!this.#shared.take()) {
          this.#until[index] = NEVER
          return
        }
        ended = new EndedBuckets(this.#shared.began)
        this.#ended[index] = ended
      }
      ended.add(at(this.#time, index), captured)
    }
    const width = ended?.width ?? HISTORY_BUCKET_MS
    this.#time[index] = ended?.reopen(now) ?? startOf(now, this.#shared.began, width)
    this.#until[index] = at(this.#time, index) + width
  }
}

/** Buckets of equal width that are over, in order; so many that the one under way has its place. */
class EndedBuckets {
  readonly #began: number
  readonly #times: number[] = []
  readonly #captured: number[] = []
  width = HISTORY_BUCKET_MS

  constructor(began: number) {
    this.#began = began
  }

  add(time: number, captured: number): void {
    this.#times.push(time)
    this.#captured.push(captured)
    // Down to half: thinning must not happen at every bucket of a run that spends now and then.
    if (this.#times.length >= MAX_HISTORY_POINTS) while (this.#times.length > MAX_HISTORY_POINTS / 2) this.#widen()
  }

  /** The start of the bucket of `now`, which after thinning can be one that was over. */
  reopen(now: number): number {
    const start = startOf(now, this.#began, this.width)
    if (this.#times.at(-1) === start) {
      this.#times.pop()
      this.#captured.pop()
    }
    return start
  }

  points(): readonly HistoryPoint[] {
    return this.#times.map((timeMs, i) => ({ timeMs, captured: at(this.#captured, i) }))
  }

  /** Twice as wide; of two that fall together the later tells what was spent by their end. */
  #widen(): void {
    this.width *= 2
    let kept = 0
    for (let i = 0; i < this.#times.length; i++) {
      const start = startOf(at(this.#times, i), this.#began, this.width)
      if (kept > 0 && this.#times[kept - 1] === start) kept -= 1
      this.#times[kept] = start
      this.#captured[kept] = at(this.#captured, i)
      kept += 1
    }
    this.#times.length = kept
    this.#captured.length = kept
  }
}

function startOf(time: number, began: number, width: number): number {
  return began + Math.floor((time - began) / width) * width
}
