import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Charges } from '../vocabulary/index.ts'
import { MAX_TIME_LEASE_MS, SLICE_MS } from './limits.ts'
import type { OnMark } from './marks.ts'
import { createTimeSlices } from './slices.ts'
import { gateOf, memoryLog, proven, run } from './testing.ts'

const HOUR = 3_600_000
type Mark = Parameters<OnMark>[0]

/** Lets time pass in a gate as its timer does: a slice, a tick, a look at the lease. Resolves with the ms until something was used up. */
async function live({ budget, share }: Awaited<ReturnType<typeof gateOf>>, ms: number, cpus = 1): Promise<number> {
  let now = 0
  const clock = { wallMs: () => now, monotonicMs: () => now }
  const accounts = (dimension: 'wall_time_ms' | 'cpu_ms') => ['run', ...(share.shares(dimension) ? [share.account] : [])]
  const slices = createTimeSlices({ budget, clock, cpus, accounts })
  let step = SLICE_MS
  while (now < ms) {
    now += step
    const { exhausted, nextMs } = slices.tick(now * cpus)
    if (exhausted !== null) break
    step = nextMs
    await share.leaseTime()
  }
  slices.stop(now * cpus)
  return now
}

const recordsOf = (records: ReturnType<typeof memoryLog>['records'], type: string) => records.filter((record) => record.type === type)

describe('wall time that runs share', () => {
  test('is leased a minute at a time at most, and what a run did not use goes back', async () => {
    const { log, records } = memoryLog({ wall_time_ms: HOUR })
    const gate = await gateOf(log, 1)
    expect(proven(records).counted).toEqual({ wall_time_ms: MAX_TIME_LEASE_MS })
    expect(await live(gate, 200_000)).toBe(200_000)
    expect(recordsOf(records, 'BUDGET_LEASE').length).toBeLessThan(6)
    await gate.share.end()
    expect(proven(records).counted).toEqual({ wall_time_ms: 200_000 })
  })

  test('ends every run with the last of it: not sooner, and by no slice later', async () => {
    const { log, records } = memoryLog({ wall_time_ms: 30_000 })
    const gates = await Promise.all([1, 2, 3, 4].map((number) => gateOf(log, number)))
    const lived = await Promise.all(gates.map((gate) => live(gate, HOUR)))
    expect(lived.reduce((sum, ms) => sum + ms, 0)).toBe(30_000)
    expect(await live(await gateOf(log, 5), HOUR)).toBe(SLICE_MS)
    await Promise.all(gates.map(({ share }) => share.end()))
    expect(proven(records).counted.wall_time_ms).toBe(30_000)
  })

  test('of a run whose calls were refused is not given back from under it', async () => {
    const { log } = memoryLog({ wall_time_ms: 10_000, calls: 1 })
    const gate = await gateOf(log, 1)
    await gate.budget.reserveShared(['run'], { calls: 1 })
    expect(await gate.budget.reserveShared(['run'], { calls: 1 })).toMatchObject({ ok: false, dimension: 'calls' })
    expect(await live(gate, 3_000)).toBe(3_000)
  })

  test('of nothing but CPU time is nothing to a gate without a machine, which has none that is measured', async () => {
    const { log, records } = memoryLog({ cpu_ms: HOUR, wall_time_ms: HOUR })
    const without = await gateOf(log, 1, null)
    expect([without.share.shares('cpu_ms'), await live(without, 1000)]).toEqual([false, 1000])
    await without.share.end()
    expect(proven(records).counted).toEqual({ wall_time_ms: 1000 })
  })

  test('CPU time is leased by the CPUs there are', async () => {
    const { log, records } = memoryLog({ cpu_ms: HOUR })
    const gate = await gateOf(log, 2, 4)
    expect(proven(records).counted).toEqual({ cpu_ms: HOUR / 16 })
    expect(await live(gate, 100_000, 4)).toBe(100_000)
    await gate.share.end()
    expect(proven(records).counted).toEqual({ cpu_ms: 400_000 })
  })

  test('that the run’s log has no room to tell of is leased once, not again and again', async () => {
    const { log, records } = memoryLog({ calls: 1000, wall_time_ms: HOUR })
    let room = true
    const gate = await gateOf(log, 1, 1, {
      onLease: () => {
        if (!room) throw new Error('no room')
      },
    })
    const before = recordsOf(records, 'BUDGET_LEASE').length
    room = false
    for (let i = 0; i < 20; i++) await expect(gate.budget.reserveShared(['run'], { calls: 1 })).rejects.toThrow('no room')
    expect(recordsOf(records, 'BUDGET_LEASE').length).toBe(before + 1)
    room = true
    expect((await gate.budget.reserveShared(['run'], { calls: 1 })).ok).toBe(true)
  })

  test('that the run’s log has no room to tell of is leased once, however often its timer looks', async () => {
    const { log, records } = memoryLog({ wall_time_ms: HOUR })
    let room = true
    const gate = await gateOf(log, 1, 1, {
      onLease: () => {
        if (!room) throw new Error('no room')
      },
    })
    const taken = gate.budget.reserve(['installation'], { wall_time_ms: gate.budget.available(['installation'], 'wall_time_ms') })
    expect(taken.ok).toBe(true)
    const before = recordsOf(records, 'BUDGET_LEASE').length
    room = false
    for (let i = 0; i < 20; i++) await expect(gate.share.leaseTime()).rejects.toThrow('no room')
    expect(recordsOf(records, 'BUDGET_LEASE')).toHaveLength(before + 1)
  })
})

describe('places that runs share', () => {
  const place = { concurrency: 1 } as const
  const hold = async ({ budget }: Awaited<ReturnType<typeof gateOf>>) => budget.reserveShared(['run'], place)

  test('1,000 effects at once in eight runs: never more than ten under way together, and all places are free at the end', async () => {
    const { log, records } = memoryLog({ concurrency: 10 })
    const gates = await Promise.all(Array.from({ length: 8 }, (_, i) => gateOf(log, i)))
    let under = 0
    let most = 0
    const answers = await Promise.all(
      gates.flatMap((gate) =>
        Array.from({ length: 125 }, async () => {
          const taken = await hold(gate)
          if (!taken.ok) return false
          most = Math.max(most, ++under)
          await new Promise((resolve) => setImmediate(resolve))
          under -= 1
          gate.budget.settle(taken.reservation, place)
          return true
        }),
      ),
    )
    expect(most).toBeLessThanOrEqual(10)
    expect(answers.filter(Boolean).length).toBeGreaterThanOrEqual(10)
    await Promise.all(gates.map(({ share }) => share.end()))
    expect(proven(records).counted).toEqual({})
  })

  test('are held while they are used, given back when nobody needed them, and then another run’s', async () => {
    const { log, records } = memoryLog({ concurrency: 2 })
    const [a, b] = await Promise.all([gateOf(log, 1), gateOf(log, 2)])
    const held = [await hold(a), await hold(a)]
    await a.share.giveBackPlaces()
    expect(await hold(b)).toMatchObject({ ok: false, account: 'installation', dimension: 'concurrency' })
    for (const taken of held) if (taken.ok) a.budget.settle(taken.reservation, place)
    // They were needed a moment ago: the run that used them may need them again.
    await a.share.giveBackPlaces()
    expect(await hold(b)).toMatchObject({ ok: false })
    await a.share.giveBackPlaces()
    expect((await hold(b)).ok).toBe(true)
    expect(proven(records).counted).toEqual({ concurrency: 1 })
  })

  test('of a run that died count until it is recovered, and then not at all', async () => {
    const { log, records } = memoryLog({ concurrency: 1 })
    await hold(await gateOf(log, 1))
    const next = await gateOf(log, 2)
    expect(await hold(next)).toMatchObject({ ok: false })
    records.push({ type: 'BUDGET_SPENT', run: run(1), spent: { concurrency: 0 } })
    expect((await hold(next)).ok).toBe(true)
  })
})

describe('marks of what runs share', () => {
  const told: Mark[] = []
  afterEach(() => told.splice(0))
  const spend = async (gate: Awaited<ReturnType<typeof gateOf>>, charges: Charges) => {
    const taken = await gate.budget.reserveShared(['run'], charges)
    if (taken.ok) gate.budget.settle(taken.reservation, charges)
  }

  test('are told at 50, 80 and 95 % of the whole, whoever spent it, and never of what one run leased', async () => {
    const { log } = memoryLog({ calls: 100 })
    const onMark = vi.fn()
    const watching = await gateOf(log, 1, null, { onMark: (mark) => told.push(mark), budgetMarks: onMark })
    const other = await gateOf(log, 2)
    await spend(watching, { calls: 1 })
    expect(told).toEqual([])
    await spend(other, { calls: 49 })
    await spend(watching, { calls: 6 })
    for (let i = 0; i < 90; i++) await spend(watching, { calls: 1 })
    expect(told.map(({ account, dimension, percent, limit }) => [account, dimension, percent, limit])).toEqual(
      [50, 80, 95].map((percent) => ['installation', 'calls', percent, 100]),
    )
    expect(onMark.mock.calls.filter(([mark]) => (mark as Mark).account === 'installation')).toEqual([])
  })

  test('a run that begins late hears the highest passed, once', async () => {
    const { log } = memoryLog({ calls: 10 })
    await spend(await gateOf(log, 1), { calls: 9 })
    await gateOf(log, 2, null, { onMark: (mark) => told.push(mark) })
    expect(told.map(({ percent, captured }) => [percent, captured])).toEqual([[80, 9]])
  })
})
