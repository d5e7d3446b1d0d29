import type { Limits, Rate } from './blocks.ts'
import type { CountedBlock } from './registry.ts'

/** Counts of one block id: kept apart from handles, so that binding again or splitting into children gives nothing back. */
export interface Counters {
  usesLeft: number
  /** GCRA's theoretical arrival time, in ms × count: with the period as the emission interval everything stays an integer. */
  arrival: number
  /** The same of what was refused: a bucket of its own, so that guessing has the pace of use and takes none of it. */
  refusedArrival: number
}

export function freshCounters(limits: Limits): Counters {
  return { usesLeft: limits.uses ?? Number.POSITIVE_INFINITY, arrival: 0, refusedArrival: 0 }
}

/**
 * Counters of a block an earlier process of the gate may have known. `used` null: how often is not known, so no use is left. What a rate allowed just before
 * is not known either: its burst counts as taken.
 */
export function continuedCounters(limits: Limits, used: number | null, nowMs: number): Counters {
  const { uses, rate } = limits
  const full = rate === undefined ? 0 : scaled(rate, nowMs) + rate.burst * rate.periodMs
  return {
    usesLeft: uses === undefined ? Number.POSITIVE_INFINITY : used === null ? 0 : Math.max(0, uses - used),
    arrival: full,
    refusedArrival: full,
  }
}

/** A block that lets nothing more happen now. */
export interface Full {
  readonly block: string
  readonly reason: string
}

/** Takes one use of every block, or of none and says why. `nowMs` is monotonic. */
export function takeUses(blocks: readonly CountedBlock[], nowMs: number): Full | null {
  for (const { limits, counters, index, id } of blocks) {
    const reason = refusesUse(limits, counters ?? NO_USE, nowMs)
    if (reason !== null) return { block: id, reason: `block ${index} of the token: ${reason}` }
  }
  for (const { limits, counters } of blocks) if (counters !== null) takeUse(limits, counters, nowMs)
  return null
}

/**
 * Counts what a token does not allow, which takes no use: finding out what it allows has the pace of its rates, every block's, so that its children guess no
 * quicker than it does. Says which block is asked too often. `nowMs` is monotonic.
 */
export function takeRefusals(blocks: readonly CountedBlock[], nowMs: number): Full | null {
  let full: Full | null = null
  for (const { limits, counters, index, id } of blocks)
    if (counters !== null && !takeRefusal(limits, counters, nowMs))
      full ??= { block: id, reason: `block ${index} of the token: asked too often for what it does not allow` }
  return full
}

function refusesUse(limits: Limits, counters: Counters, nowMs: number): string | null {
  if (counters.usesLeft < 1) return `its ${limits.uses} uses are used up`
  const { rate } = limits
  return rate !== undefined && !fits(rate, counters.arrival, nowMs) ? `more than ${rate.count} uses per ${rate.periodMs} ms` : null
}

function takeUse(limits: Limits, counters: Counters, nowMs: number): void {
  counters.usesLeft -= 1
  if (limits.rate !== undefined) counters.arrival = nextArrival(limits.rate, counters.arrival, nowMs)
}

/** Whether it came in time. */
function takeRefusal({ rate }: Limits, counters: Counters, nowMs: number): boolean {
  if (rate === undefined) return true
  if (!fits(rate, counters.refusedArrival, nowMs)) return false
  counters.refusedArrival = nextArrival(rate, counters.refusedArrival, nowMs)
  return true
}

/** Generic cell rate algorithm (ITU-T I.371): a burst and a rate in one number, no timer and no window edge. */
function fits(rate: Rate, arrival: number, nowMs: number): boolean {
  return nextArrival(rate, arrival, nowMs) <= scaled(rate, nowMs) + rate.burst * rate.periodMs
}

function nextArrival(rate: Rate, arrival: number, nowMs: number): number {
  return Math.max(arrival, scaled(rate, nowMs)) + rate.periodMs
}

function scaled(rate: Rate, nowMs: number): number {
  return Math.floor(nowMs) * rate.count
}

/** Of a block nobody holds. */
const NO_USE: Counters = { usesLeft: 0, arrival: 0, refusedArrival: 0 }
