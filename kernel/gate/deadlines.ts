/** Something that may not take for ever. */
export interface Due {
  /** ms on the monotonic clock; Infinity: no more. */
  due: number
}

/** Deadlines of a session's requests on one timer: nearly all are answered long before theirs, and a timer for each costs more than to answer it. */
export class Deadlines<T extends Due> {
  private readonly waiting: ReadonlyMap<number, T>
  private readonly expired: (one: T) => void
  private timer: ReturnType<typeof setTimeout> | undefined
  /** When the timer looks. It is not set back when what it was set for is done. */
  private looksAt = Number.POSITIVE_INFINITY

  /** `waiting`: all there are, put in before `start` and taken out when they are done. */
  constructor(waiting: ReadonlyMap<number, T>, expired: (one: T) => void) {
    this.waiting = waiting
    this.expired = expired
  }

  start(one: T, ms: number): void {
    one.due = performance.now() + ms
    if (one.due < this.looksAt) this.lookAt(one.due, ms)
  }

  clear(): void {
    clearTimeout(this.timer)
    this.looksAt = Number.POSITIVE_INFINITY
  }

  private lookAt(due: number, ms: number): void {
    clearTimeout(this.timer)
    this.looksAt = due
    // A timer may fire a part of a ms early: looking once more is cheaper than a request that never expires.
    this.timer = setTimeout(() => this.look(), Math.max(1, Math.ceil(ms)))
  }

  private look(): void {
    this.looksAt = Number.POSITIVE_INFINITY
    const now = performance.now()
    let next = Number.POSITIVE_INFINITY
    for (const one of this.waiting.values()) {
      if (one.due > now) next = Math.min(next, one.due)
      else {
        one.due = Number.POSITIVE_INFINITY
        this.expired(one)
      }
    }
    if (next < this.looksAt) this.lookAt(next, next - now)
  }
}
