/** Deadlines of a session's requests on one timer: nearly all are answered long before theirs, and a timer for each costs more than to answer it. */
export class Deadlines {
  /** When each is due, ms on the monotonic clock. */
  private readonly due = new Map<number, number>()
  private readonly expired: (id: number) => void
  private timer: ReturnType<typeof setTimeout> | undefined
  /** When the timer looks. It is not set back when what it was set for is done. */
  private looksAt = Number.POSITIVE_INFINITY

  constructor(expired: (id: number) => void) {
    this.expired = expired
  }

  add(id: number, ms: number): void {
    const due = performance.now() + ms
    this.due.set(id, due)
    if (due < this.looksAt) this.lookAt(due, ms)
  }

  delete(id: number): void {
    this.due.delete(id)
  }

  clear(): void {
    this.due.clear()
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
    for (const [id, due] of this.due) {
      if (due > now) next = Math.min(next, due)
      else {
        this.due.delete(id)
        this.expired(id)
      }
    }
    if (next < this.looksAt) this.lookAt(next, next - now)
  }
}
