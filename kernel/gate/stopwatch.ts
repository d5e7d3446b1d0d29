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

  /** In whole µs; undefined when nothing was measured. */
  get times(): StageTimes | undefined {
    if (this.nowUs === undefined) return undefined
    const times: { -readonly [stage in keyof StageTimes]: number } = {}
    for (const stage in this.laps) times[stage as keyof StageTimes] = Math.round(this.laps[stage as keyof StageTimes] ?? 0)
    return times
  }
}
