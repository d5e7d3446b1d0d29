/** A stream with bytes that nobody takes. */
export interface Holder {
  /** More is held by all of them than may be, and by this one the most. */
  onTooMuch(): void
}

/**
 * What one side sent and the other has not taken, over all streams of a run. Credit bounds each stream by itself; thousands that nobody reads would still fill the
 * gate's memory. Past the bound the stream that holds most goes: never one that moves.
 */
export class HeldBytes {
  private readonly most: number
  private total = 0
  private readonly holders = new Map<Holder, number>()

  constructor(most: number) {
    this.most = most
  }

  take(holder: Holder, bytes: number): void {
    this.total += bytes
    this.holders.set(holder, (this.holders.get(holder) ?? 0) + bytes)
    while (this.total > this.most) {
      const largest = this.largest()
      this.forget(largest)
      largest.onTooMuch()
    }
  }

  give(holder: Holder, bytes: number): void {
    const held = this.holders.get(holder)
    if (held === undefined) return
    this.total -= bytes
    if (held === bytes) this.holders.delete(holder)
    else this.holders.set(holder, held - bytes)
  }

  forget(holder: Holder): void {
    this.total -= this.holders.get(holder) ?? 0
    this.holders.delete(holder)
  }

  private largest(): Holder {
    const [first, ...others] = this.holders
    if (first === undefined) throw new Error('nothing is held')
    return others.reduce((most, one) => (one[1] > most[1] ? one : most), first)[0]
  }
}

/** Of a run. */
export interface HeldByStreams {
  /** From agents, for servers and files. */
  readonly untaken: HeldBytes
  /** For agents. */
  readonly waiting: HeldBytes
}
