import { describe, expect, test, vi } from 'vitest'
import type { SharedAmounts } from '../vocabulary/index.ts'
import { Pool } from './pool.ts'
import { type LoggedRecord, replay, restoreBudget } from './replay.ts'
import { gateOf, memoryLog, proven, run } from './testing.ts'

const FS = ['run', 'class:fs']
const NET = ['run', 'class:net']

describe('what runs share of one class of operations', () => {
  test('1,000 concurrent reservations by eight runs, half of them of the class: exactly its 50, and the rest of the total', async () => {
    const { log, records } = memoryLog({ calls: 300, 'net.calls': 50 })
    const gates = await Promise.all(Array.from({ length: 8 }, (_, i) => gateOf(log, i)))
    const granted = { fs: 0, net: 0 }
    await Promise.all(
      gates.flatMap(({ budget }) =>
        Array.from({ length: 125 }, async (_, i) => {
          const name = i % 2 === 0 ? 'net' : 'fs'
          const taken = await budget.reserveShared(['run', `class:${name}`], { calls: 1 })
          if (!taken.ok) return
          granted[name] += 1
          budget.settle(taken.reservation)
        }),
      ),
    )
    expect(granted.net).toBe(50)
    expect(granted.fs).toBe(250)
    await Promise.all(gates.map(({ share }) => share.end()))
    expect(proven(records).counted).toEqual({ calls: 300, 'net.calls': 50 })
  })

  test('holds without one of the total, and asks nothing of other classes', async () => {
    const { log, records } = memoryLog({ 'net.calls': 1 })
    const { budget } = await gateOf(log, 1)
    for (let i = 0; i < 5; i++) expect((await budget.reserveShared(FS, { calls: 1 })).ok).toBe(true)
    expect(proven(records).counted).toEqual({})
    const taken = await budget.reserveShared(NET, { calls: 1 })
    expect(taken).toMatchObject({ ok: true, reservation: { accounts: [...NET, 'installation:net'] } })
    expect(await budget.reserveShared(NET, { calls: 1 })).toMatchObject({ ok: false, account: 'installation:net', dimension: 'calls' })
    expect(budget.sharedAccounts).toEqual(['installation:net'])
  })

  test('a stream that is renewed renews both, and what can be had is the smaller', async () => {
    const { log, records } = memoryLog({ bytes: 100, 'net.bytes': 30 })
    const { budget, share } = await gateOf(log, 1)
    expect([budget.availableShared(NET, 'bytes'), budget.availableShared(FS, 'bytes')]).toEqual([30, 100])
    const taken = await budget.reserveShared(NET, { bytes: 10 })
    if (!taken.ok) throw new Error('there is room')
    expect((await budget.extendShared(taken.reservation, { bytes: 20 })).ok).toBe(true)
    expect(await budget.extendShared(taken.reservation, { bytes: 1 })).toMatchObject({ ok: false, account: 'installation:net' })
    budget.settle(taken.reservation, { bytes: 25 })
    await share.end()
    expect(proven(records).counted).toEqual({ bytes: 25, 'net.bytes': 25 })
  })

  test('places of a class are held while they are used and given back', async () => {
    const { log, records } = memoryLog({ 'net.concurrency': 1 })
    const [a, b] = await Promise.all([gateOf(log, 1), gateOf(log, 2)])
    const held = await a.budget.reserveShared(NET, { concurrency: 1 })
    expect((await b.budget.reserveShared(FS, { concurrency: 1 })).ok).toBe(true)
    expect(await b.budget.reserveShared(NET, { concurrency: 1 })).toMatchObject({ ok: false, account: 'installation:net' })
    if (held.ok) a.budget.settle(held.reservation)
    await a.share.giveBackPlaces()
    await a.share.giveBackPlaces()
    expect((await b.budget.reserveShared(NET, { concurrency: 1 })).ok).toBe(true)
    expect(proven(records).counted).toEqual({ 'net.concurrency': 1 })
  })

  test('its marks say whose class it is', async () => {
    const { log } = memoryLog({ 'net.calls': 2 })
    const onMark = vi.fn()
    const { budget } = await gateOf(log, 1, null, { onMark })
    await budget.reserveShared(NET, { calls: 1 })
    expect(onMark.mock.calls).toEqual([[{ account: 'installation:net', dimension: 'calls', percent: 50, captured: 1, limit: 2 }]])
  })

  test('the log of a run that died says what it spent of each', () => {
    const leased: SharedAmounts = { calls: 6, 'net.calls': 3 }
    const intent = { type: 'INTENT', op: 'net.connect', accounts: [...NET, 'installation', 'installation:net'], reserve: { calls: 1 } }
    const records = [
      { seq: 1, type: 'LEASED', leased },
      { seq: 2, ...intent },
    ] as unknown as LoggedRecord[]
    const replayed = replay(records)
    expect(replayed.spent.get('installation:net')).toEqual({ calls: 1 })
    const rows = restoreBudget(replayed).rows(['installation', 'installation:net'])
    expect(rows.map(({ account, limit, captured }) => [account, limit, captured])).toEqual([
      ['installation', 6, 1],
      ['installation:net', 3, 1],
    ])
  })

  test.each([
    'bus.calls',
    'net.',
    'net.wall_time_ms',
    'net.cpu_ms',
    'net.log_bytes',
    'log_bytes',
    '.calls',
    'net.calls.x',
    '__proto__',
    'constructor',
  ])('%s is nothing that runs share', (key) => {
    const limits = Object.defineProperty({}, key, { value: 1, enumerable: true }) as SharedAmounts
    expect(() => new Pool().add({ type: 'BUDGET_LIMITS', limits, by_uid: 0 })).toThrow(RangeError)
    expect(() => new Pool().add({ type: 'BUDGET_LEASE', run: run(1), lease: limits })).toThrow(RangeError)
  })

  test.each([-1, 0.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY, '1', null])('%s is no amount', (amount) => {
    const limits = { 'net.calls': amount } as SharedAmounts
    expect(() => new Pool().add({ type: 'BUDGET_LIMITS', limits, by_uid: 0 })).toThrow(RangeError)
    for (const body of [
      { type: 'BUDGET_LEASE', run: run(1), lease: limits },
      { type: 'BUDGET_RETURN', run: run(1), unused: limits },
      { type: 'BUDGET_SPENT', run: run(1), spent: limits },
    ] as const)
      expect(() => new Pool().add(body)).toThrow(RangeError)
  })
})
