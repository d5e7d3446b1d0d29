import { describe, expect, test } from 'vitest'
import type { InstallationRecord } from '../audit/index.ts'
import type { Charges, SharedAmounts } from '../vocabulary/index.ts'
import type { AdjustableEffect } from './adjustable.ts'
import { RunAdjustments } from './adjustments.ts'
import { MAX_ADJUSTABLE_RUNS, MAX_ADJUSTMENTS, MAX_AMOUNT } from './limits.ts'
import { Pool } from './pool.ts'
import { run } from './testing.ts'

const RUN = run(1)
const effect = (captured: Charges, accounts: readonly string[] = ['run', 'installation'], intent = 4): AdjustableEffect => ({
  intent,
  op: 'net.fetch',
  object: 'api.example:443',
  accounts,
  why: 'unknown',
  captured,
})
const lease = (amounts: SharedAmounts, of = RUN): InstallationRecord => ({ type: 'BUDGET_LEASE', run: of, lease: amounts })
const spent = (amounts: SharedAmounts, of = RUN): InstallationRecord => ({ type: 'BUDGET_SPENT', run: of, spent: amounts })
const adjust = (lowered: Charges, shared: SharedAmounts = {}, of = RUN): InstallationRecord => ({
  type: 'BUDGET_ADJUST',
  run: of,
  intent: 4,
  lowered,
  shared,
  reason: 'the bill says so',
  by_uid: 0,
})

function after(...records: readonly InstallationRecord[]): RunAdjustments {
  const adjustments = new RunAdjustments(RUN)
  for (const record of records) adjustments.add(record)
  return adjustments
}

describe('an effect is lowered', () => {
  test('to what it used, and of what runs share by as much', () => {
    const settled = after(lease({ calls: 20 }), spent({ calls: 10 }))
    expect(settled.lower(effect({ calls: 10, bytes: 7 }), { calls: 4 })).toEqual({ lowered: { calls: 6 }, shared: { calls: 6 } })
  })

  test('only ever down: as much as is charged, or more, is refused', () => {
    for (const calls of [10, 11, MAX_AMOUNT])
      expect(after().lower(effect({ calls: 10 }), { calls })).toEqual({ refused: 'not_less', dimension: 'calls', charged: 10 })
    expect(after().lower(effect({ calls: 10 }), { bytes: 0 })).toEqual({ refused: 'not_less', dimension: 'bytes', charged: 0 })
  })

  test('never twice: what was taken back before is not charged any more', () => {
    const once = after(lease({ calls: 20 }), spent({ calls: 10 }), adjust({ calls: 6 }, { calls: 6 }))
    expect(once.lower(effect({ calls: 10 }), { calls: 4 })).toEqual({ refused: 'not_less', dimension: 'calls', charged: 4 })
    expect(once.lower(effect({ calls: 10 }), { calls: 1 })).toEqual({ lowered: { calls: 3 }, shared: { calls: 3 } })
  })

  test('not by what another run, or another effect, took back', () => {
    const others = after(adjust({ calls: 6 }, {}, run(2)), { ...adjust({ calls: 6 }), intent: 9 } as InstallationRecord)
    expect(others.lower(effect({ calls: 10 }), { calls: 0 })).toMatchObject({ lowered: { calls: 10 } })
    expect(others.all).toHaveLength(1)
  })

  test('of what runs share no more than the run still counts with, and only of an account it was charged to', () => {
    const settled = after(lease({ calls: 20, 'net.calls': 20 }), spent({ calls: 3, 'net.calls': 3 }))
    expect(settled.lower(effect({ calls: 10 }), { calls: 0 })).toEqual({ lowered: { calls: 10 }, shared: { calls: 3 } })
    expect(settled.lower(effect({ calls: 10 }, ['run']), { calls: 0 })).toEqual({ lowered: { calls: 10 }, shared: {} })
    const ofNet = effect({ calls: 10 }, ['run', 'installation', 'installation:net'])
    expect(settled.lower(ofNet, { calls: 9 })).toEqual({ lowered: { calls: 1 }, shared: { calls: 1, 'net.calls': 1 } })
  })

  test('of what runs share never more than the run spent, over all its effects together', () => {
    const once = after(lease({ calls: 20 }), spent({ calls: 10 }), adjust({ calls: 8 }, { calls: 8 }))
    expect(once.lower(effect({ calls: 10 }, ['run', 'installation'], 9), { calls: 0 })).toEqual({
      lowered: { calls: 10 },
      shared: { calls: 2 },
    })
  })

  test('of a run that never had a lease: its own accounts alone', () => {
    expect(after().lower(effect({ calls: 10 }), { calls: 0 })).toEqual({ lowered: { calls: 10 }, shared: {} })
  })

  test('not while the run holds a lease', () => {
    expect(after(lease({ calls: 20 })).lower(effect({ calls: 10 }), { calls: 0 })).toEqual({ refused: 'lease_not_settled' })
  })

  test('not after so many runs that a verifier has forgotten what this one spent', () => {
    const adjustments = after(lease({ calls: 20 }), spent({ calls: 10 }))
    for (let i = 1; i < MAX_ADJUSTABLE_RUNS; i++) adjustments.add(spent({}, run(i + 1)))
    expect(adjustments.lower(effect({ calls: 10 }), { calls: 0 })).toHaveProperty('lowered')
    adjustments.add(spent({}, run(2)))
    expect(adjustments.lower(effect({ calls: 10 }), { calls: 0 })).toEqual({ refused: 'too_many_runs_since' })
  })

  test('a bounded number of times', () => {
    const adjustments = after()
    for (let i = 0; i < MAX_ADJUSTMENTS; i++) adjustments.add(adjust({ calls: 1 }))
    expect(adjustments.lower(effect({ calls: MAX_AMOUNT }), { calls: 0 })).toEqual({ refused: 'too_many_adjustments' })
  })

  test('by amounts only: negative, fractions, no numbers and what cannot be counted are none', () => {
    for (const calls of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, MAX_AMOUNT + 1]) {
      expect(() => after().lower(effect({ calls: 10 }), { calls })).toThrow(RangeError)
      expect(() => after(adjust({ calls }))).toThrow(RangeError)
    }
    expect(() => after().lower(effect({ calls: 10 }), JSON.parse('{"wishes":1}'))).toThrow(RangeError)
  })
})

describe('what runs share', () => {
  const pool = (...records: readonly InstallationRecord[]): Pool => {
    const made = new Pool()
    for (const record of [{ type: 'BUDGET_LIMITS', limits: { calls: 100 }, by_uid: 0 } as const, ...records]) made.add(record)
    return made
  }

  test('has again what was taken back', () => {
    expect(pool(lease({ calls: 20 }), spent({ calls: 10 }), adjust({ calls: 6 }, { calls: 6 })).counted).toEqual({ calls: 4 })
  })

  test('never has more than its limit, whatever a record says', () => {
    const forged = pool(lease({ calls: 20 }), spent({ calls: 10 }), adjust({ calls: 50 }, { calls: 50 }))
    expect(forged.counted).toEqual({})
    forged.add(lease({ calls: 100 }, run(2)))
    expect(forged.counted).toEqual({ calls: 100 })
  })
})
