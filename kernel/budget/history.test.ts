import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Charges } from '../vocabulary/index.ts'
import { HISTORY_BUCKET_MS, MAX_ACCOUNTS, MAX_HISTORIES, MAX_HISTORY_POINTS } from './limits.ts'
import { replay, restoreBudget } from './replay.ts'
import { createBudgetStage } from './stage.ts'
import type { BudgetStage, HistoryPoint } from './types.ts'

const BEGAN = 1_764_000_000_123

function kept(limits: Charges = {}) {
  const clock = { now: BEGAN }
  return { clock, stage: createBudgetStage({ limits, wallMs: () => clock.now }) }
}

function spend(stage: BudgetStage, charges: Charges, accounts: readonly string[] = ['run']): void {
  const taken = stage.reserve(accounts, charges)
  if (!taken.ok) throw new Error(`refused by ${taken.account} ${taken.dimension}`)
  stage.settle(taken.reservation, charges)
}

const points = (stage: BudgetStage, dimension = 'calls', account = 'run'): readonly HistoryPoint[] =>
  stage.history(account).find((row) => row.dimension === dimension)?.points ?? []

describe('history', () => {
  test('has a point for each second in which something was captured, and none for those between', () => {
    const { clock, stage } = kept()
    expect(stage.history('run')).toEqual([])
    spend(stage, { calls: 1, bytes: 100 })
    clock.now += HISTORY_BUCKET_MS - 1
    spend(stage, { calls: 1 })
    clock.now += 1
    spend(stage, { calls: 3 })
    clock.now += 10 * HISTORY_BUCKET_MS + 7
    spend(stage, { calls: 2 })
    expect(stage.history('run')).toEqual([
      {
        dimension: 'calls',
        points: [
          { timeMs: BEGAN, captured: 2 },
          { timeMs: BEGAN + HISTORY_BUCKET_MS, captured: 5 },
          { timeMs: BEGAN + 11 * HISTORY_BUCKET_MS, captured: 7 },
        ],
      },
      { dimension: 'bytes', points: [{ timeMs: BEGAN, captured: 100 }] },
    ])
  })

  test('what was reserved, voided or never used makes no point', () => {
    const { stage } = kept()
    const voided = stage.reserve(['run'], { calls: 1, concurrency: 1 })
    if (voided.ok) stage.void(voided.reservation)
    stage.reserve(['run'], { calls: 1 })
    const unused = stage.reserve(['run'], { calls: 1, bytes: 5 })
    if (unused.ok) stage.settle(unused.reservation, { calls: 1 })
    expect(stage.history('run').map((row) => row.dimension)).toEqual(['calls'])
  })

  test('whatever the clock does: the last point is what is spent, times and amounts only grow, and each point is what was spent by then', () => {
    // Mostly forward, in buckets far more than a history has points; sometimes back, or a day away.
    const wait = fc.oneof(
      { weight: 12, arbitrary: fc.integer({ min: 0, max: 3000 }) },
      { weight: 4, arbitrary: fc.integer({ min: 0, max: 600_000 }) },
      { weight: 2, arbitrary: fc.integer({ min: -5000, max: -1 }) },
      { weight: 1, arbitrary: fc.constantFrom(-86_400_000, 86_400_000) },
    )
    const step = fc.record({ wait, calls: fc.integer({ min: 1, max: 9 }) })
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 400, size: 'max' }), (steps) => {
        const { clock, stage } = kept()
        const spent: { at: number; total: number }[] = []
        let latest = BEGAN
        let total = 0
        for (const { wait, calls } of steps) {
          clock.now += wait
          spend(stage, { calls })
          total += calls
          latest = Math.max(latest, clock.now)
          spent.push({ at: latest, total })
          const row = points(stage)
          expect(row.length).toBeLessThanOrEqual(MAX_HISTORY_POINTS)
          expect(row.at(-1)?.captured).toBe(total)
        }
        const row = points(stage)
        for (const [i, { timeMs, captured }] of row.entries()) {
          const next = row[i + 1]
          if (next !== undefined) expect(next.timeMs > timeMs && next.captured > captured).toBe(true)
          expect(timeMs).toBeGreaterThanOrEqual(BEGAN)
          // A naive account of the same: all that was captured before the next point began.
          expect(captured).toBe(spent.findLast(({ at }) => next === undefined || at < next.timeMs)?.total)
        }
      }),
      // Shrinking hundreds of steps takes minutes; the seed is told.
      { numRuns: 200, endOnFailure: true },
    )
  })

  test('survives thinning: a month of captures is told in at most MAX_HISTORY_POINTS, at least half of them, over the whole of it', () => {
    const { clock, stage } = kept()
    const minutes = 30 * 24 * 60
    for (let i = 0; i < minutes; i++) {
      spend(stage, { calls: 1 })
      clock.now += 60_000
    }
    const row = points(stage)
    expect(row.length).toBeGreaterThanOrEqual(MAX_HISTORY_POINTS / 2)
    expect(row.length).toBeLessThanOrEqual(MAX_HISTORY_POINTS)
    expect(row[0]?.timeMs).toBe(BEGAN)
    expect(row.at(-1)?.captured).toBe(minutes)
    const steps = row.slice(1).map(({ timeMs }, i) => timeMs - (row[i]?.timeMs ?? 0))
    expect(new Set(steps).size).toBeLessThanOrEqual(2)
  })

  test('each account has its own', () => {
    const { clock, stage } = kept()
    spend(stage, { calls: 1 }, ['run', 'block:a'])
    clock.now += 5000
    spend(stage, { calls: 2 }, ['run', 'block:b'])
    expect(points(stage).map(({ captured }) => captured)).toEqual([1, 3])
    expect(points(stage, 'calls', 'block:a')).toEqual([{ timeMs: BEGAN, captured: 1 }])
    expect(points(stage, 'calls', 'block:b')).toEqual([{ timeMs: BEGAN + 5000, captured: 2 }])
    expect(stage.history('block:c')).toEqual([])
  })

  test('MAX_HISTORIES bounds what many tokens can make the gate remember: beyond it one point each, still what is spent; accounts that go make room', () => {
    const { clock, stage } = kept()
    const both = (name: string): void => {
      spend(stage, { calls: 1 }, [name])
      clock.now += HISTORY_BUCKET_MS
      spend(stage, { calls: 1 }, [name])
    }
    for (let i = 0; i < MAX_HISTORIES; i++) both(`block:${i}`)
    both('block:late')
    expect(points(stage, 'calls', `block:${MAX_HISTORIES - 1}`).map(({ captured }) => captured)).toEqual([1, 2])
    expect(points(stage, 'calls', 'block:late').map(({ captured }) => captured)).toEqual([2])
    for (let i = 0; i < MAX_ACCOUNTS; i++) spend(stage, { calls: 1 }, [`block:more${i}`])
    both('block:new')
    expect(points(stage, 'calls', 'block:new').map(({ captured }) => captured)).toEqual([1, 2])
  })

  test('begins anew with one point where a stage is restored from a log', () => {
    const records = [
      { seq: 1, type: 'INTENT', accounts: ['run'], reserve: { calls: 1 } },
      { seq: 2, type: 'OUTCOME', intent: 1, status: 'ok', captured: { calls: 1 } },
      { seq: 3, type: 'TIME', captured: { wall_time_ms: 250 } },
    ] as unknown as Parameters<typeof replay>[0]
    const stage = restoreBudget(replay(records), { wallMs: () => BEGAN })
    expect(stage.history('run')).toEqual([
      { dimension: 'calls', points: [{ timeMs: BEGAN, captured: 1 }] },
      { dimension: 'wall_time_ms', points: [{ timeMs: BEGAN, captured: 250 }] },
    ])
  })

  test('without a clock none is kept', () => {
    const stage = createBudgetStage()
    spend(stage, { calls: 1 })
    expect(stage.history('run')).toEqual([])
  })
})
