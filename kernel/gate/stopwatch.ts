import type { StageTimes } from '../audit/types.ts'

/** How long each stage of one effect took: it goes into the effect's OUTCOME. Without a clock nothing is measured. */
export class Stopwatch {
  private readonly nowUs: (() => number) | undefined
  private last: number
  private readonly laps: { -readonly [stage in keyof StageTimes]: number } = {}

  /** `nowUs`: µs since an arbitrary start, never goes back. */
  constructor(nowUs: (() => number) | undefined) {
    this.nowUs = nowUs
    this.last = nowUs?.() ?? 0
  }

  /** The time since the last lap was this stage's, which may have had others: an effect is decided twice. */
  lap(stage: keyof StageTimes): void {
    if (this.nowUs === undefined) return
    const now = this.nowUs()
    this.laps[stage] = (this.laps[stage] ?? 0) + Math.max(0, now - this.last)
    this.last = now
  }

  /** As a field of the record; empty when nothing was measured. */
  get field(): { readonly us?: StageTimes } {
    if (this.nowUs === undefined) return {}
    return { us: Object.fromEntries(Object.entries(this.laps).map(([stage, us]) => [stage, Math.round(us)])) }
  }
}
