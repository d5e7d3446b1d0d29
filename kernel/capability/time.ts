import type { Clock } from '../vocabulary/index.ts'

/** The wall clock is looked at once in so many ms: a clock that was set forward ends tokens that much later. */
const LOOK_MS = 1

/**
 * The gate's time for not-before and expiry: the wall clock, but never slower than the monotonic one and never going back.
 * A wall clock set back revives nothing; one set forward ends tokens early. Returns ms since the epoch.
 */
export function gateTime(clock: Clock): () => number {
  let now = clock.wallMs()
  let looked = now
  let mark = clock.monotonicMs()
  return () => {
    const passed = clock.monotonicMs() - mark
    if (passed >= 0 && passed < LOOK_MS) {
      now = Math.max(now, looked + passed)
    } else {
      now = looked = Math.max(clock.wallMs(), now, looked + passed)
      mark += passed
    }
    return now
  }
}
