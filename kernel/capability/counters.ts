import type { Limits, Rate } from './blocks.ts'

/** Counts of one block id: kept apart from handles, so that binding again or splitting into children gives nothing back. */
export interface Counters {
  usesLeft: number
  /** GCRA's theoretical arrival time, in ms × count: with the period as the emission interval everything stays an integer. */
  arrival: number
}

export function freshCounters(limits: Limits): Counters {
  return { usesLeft: limits.uses ?? Number.POSITIVE_INFINITY, arrival: 0 }
}

/**
 * Counters of a block an earlier process of the gate may have known. `used` null: how often is not known, so no use is left. What a rate allowed just before
 * is not known either: its burst counts as taken.
 */
export function continuedCounters(limits: Limits, used: number | null, nowMs: number): Counters {
  const { uses, rate } = limits
  return {
    usesLeft: uses === undefined ? Number.POSITIVE_INFINITY : used === null ? 0 : Math.max(0, uses - used),
    arrival: rate === undefined ? 0 : scaled(rate, nowMs) + rate.burst * rate.periodMs,
  }
}

/** Why one more use does not fit now, or null. `nowMs` is monotonic. */
export function refusesUse(limits: Limits, counters: Counters, nowMs: number): string | null {
  if (counters.usesLeft < 1) return `its ${limits.uses} uses are used up`
  const { rate } = limits
  if (rate !== undefined && !(nextArrival(rate, counters, nowMs) <= scaled(rate, nowMs) + rate.burst * rate.periodMs))
    return `more than ${rate.count} uses per ${rate.periodMs} ms`
  return null
}

/** Takes one use. Only after refusesUse said null for every block of the token. */
export function takeUse(limits: Limits, counters: Counters, nowMs: number): void {
  counters.usesLeft -= 1
  if (limits.rate !== undefined) counters.arrival = nextArrival(limits.rate, counters, nowMs)
}

/** Generic cell rate algorithm (ITU-T I.371): a burst and a rate in one number, no timer and no window edge. */
function nextArrival(rate: Rate, counters: Counters, nowMs: number): number {
  return Math.max(counters.arrival, scaled(rate, nowMs)) + rate.periodMs
}

function scaled(rate: Rate, nowMs: number): number {
  return Math.floor(nowMs) * rate.count
}
