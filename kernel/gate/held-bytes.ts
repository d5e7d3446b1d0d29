import { MAX_HELD_BYTES } from './limits.ts'

/** A stream whose far end has not taken all that the agent sent. */
export interface Holder {
  /** More is held by all of them than may be, and by this one the most. */
  onTooMuch(): void
}

/**
 * What agents sent and far ends have not taken, over all streams of a run. Credit bounds each stream by itself; thousands of far ends that do not read would still
 * fill the gate's memory. Past the bound the stream that holds most goes: never one that moves.
 */
export class HeldBytes {
  private total = 0
  private readonly holders = new Map<Holder, number>()

  take(holder: Holder, bytes: number): void {
    this.total += bytes
    this.holders.set(holder, (this.holders.get(holder) ?? 0) + bytes)
    while (this.total > MAX_HELD_BYTES) {
      const most = this.largest()
      this.forget(most)
      most.onTooMuch()
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
