import type { Clock } from '../vocabulary/index.ts'

/**
 * The gate's time for not-before and expiry: the wall clock, but never slower than the monotonic one and never going back.
 * A wall clock set back revives nothing; one set forward ends tokens early. Returns ms since the epoch.
 */
export function gateTime(clock: Clock): () => number {
  let now = clock.wallMs()
  let mark = clock.monotonicMs()
  return () => {
    const monotonic = clock.monotonicMs()
    now = Math.max(clock.wallMs(), now + Math.max(0, monotonic - mark))
    mark = monotonic
    return now
  }
}
