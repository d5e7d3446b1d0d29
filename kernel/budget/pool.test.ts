import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { InstallationRecord } from '../audit/installation-records.ts'
import type { Charges } from '../vocabulary/index.ts'
import { Pool } from './pool.ts'
import { type PoolLog, PoolShare } from './pool-share.ts'
import { createBudgetStage } from './stage.ts'

const CENT = 10_000_000
const run = (number: number): string => String(number).padStart(32, '0')

/** The installation log without its disk: one transaction at a time, in the order they were asked for. */
function memoryLog(limits: Charges) {
  const records: InstallationRecord[] = [{ type: 'BUDGET_LIMITS', limits, by_uid: 0 }]
  let turn: Promise<unknown> = Promise.resolve()
  const log: PoolLog = {
    transact: (see, decide) => {
      const done = turn.then(() => {
        records.forEach(see)
        const record = decide()
        return record === null ? null : records.push(record) - 1
      })
      turn = done.catch(() => undefined)
      return done
    },
  }
  return { log, records }
}

/** Invariant over every prefix; returns the pool at its end. */
function proven(records: readonly InstallationRecord[]): Pool {
  const pool = new Pool()
  for (const record of records) {
    pool.add(record)
    if (record.type !== 'BUDGET_LEASE') continue
    for (const [dimension, limit] of Object.entries(pool.limits))
      expect(pool.counted[dimension as keyof Charges] ?? 0).toBeLessThanOrEqual(limit)
  }
  return pool
}

async function gateOf(log: PoolLog, number: number) {
  const budget = createBudgetStage()
  const share = await PoolShare.open({ log, run: run(number), budget, onLease: () => undefined })
  if (share === null) throw new Error('there is a shared budget')
  budget.join(share)
  return { budget, share }
}

test('1,000 concurrent reservations of $0.10 by eight runs against $5 of the installation: exactly 50', async () => {
  const { log, records } = memoryLog({ cost_nano_usd: 500 * CENT })
  const gates = await Promise.all(Array.from({ length: 8 }, (_, i) => gateOf(log, i)))
  const answers = await Promise.all(
    gates.flatMap(({ budget }) =>
      Array.from({ length: 125 }, async () => {
        const taken = await budget.reserveShared(['run'], { cost_nano_usd: 10 * CENT })
        if (taken.ok) budget.settle(taken.reservation, { cost_nano_usd: 10 * CENT })
        return taken.ok
      }),
    ),
  )
  expect(answers.filter(Boolean)).toHaveLength(50)
  await Promise.all(gates.map(({ share }) => share.end()))
  expect(proven(records).counted).toEqual({ cost_nano_usd: 500 * CENT })
})

test('what a run has too little of goes to the run that can use it', async () => {
  const { log, records } = memoryLog({ calls: 10 })
  const [a, b] = await Promise.all([gateOf(log, 1), gateOf(log, 2)])
  const first = await a.budget.reserveShared(['run'], { calls: 7 })
  if (first.ok) a.budget.settle(first.reservation, { calls: 1 })
  expect(await b.budget.reserveShared(['run'], { calls: 9 })).toMatchObject({ ok: false, account: 'installation', available: 0 })
  expect(await a.budget.reserveShared(['run'], { calls: 10 })).toMatchObject({ ok: false })
  expect((await b.budget.reserveShared(['run'], { calls: 9 })).ok).toBe(true)
  expect(proven(records).counted).toEqual({ calls: 10 })
})

test('a dead run counts in full until it says what it spent, once', async () => {
  const { log, records } = memoryLog({ calls: 32 })
  const dead = await gateOf(log, 1)
  expect((await dead.budget.reserveShared(['run'], { calls: 1 })).ok).toBe(true)
  const next = await gateOf(log, 2)
  expect(proven(records).counted).toEqual({ calls: 2 })
  expect(await next.budget.reserveShared(['run'], { calls: 31 })).toMatchObject({ ok: false })
  records.push({ type: 'BUDGET_SPENT', run: run(1), spent: { calls: 1 } }, { type: 'BUDGET_SPENT', run: run(1), spent: {} })
  expect((await next.budget.reserveShared(['run'], { calls: 31 })).ok).toBe(true)
  expect(await next.budget.reserveShared(['run'], { calls: 1 })).toMatchObject({ ok: false, account: 'installation' })
})

test('limits that are lowered hold for the next lease; a forged return makes no room', async () => {
  const { log, records } = memoryLog({ calls: 100 })
  const { budget } = await gateOf(log, 1)
  expect((await budget.reserveShared(['run'], { calls: 6 })).ok).toBe(true)
  records.push({ type: 'BUDGET_LIMITS', limits: { calls: 6 }, by_uid: 0 })
  expect(await budget.reserveShared(['run'], { calls: 1 })).toMatchObject({ ok: false })
  const pool = proven([...records, { type: 'BUDGET_RETURN', run: run(9), unused: { calls: 5 } }])
  expect(pool.counted).toEqual({ calls: 6 })
  pool.add({ type: 'BUDGET_RETURN', run: run(1), unused: { calls: 1000 } })
  expect(pool.counted).toEqual({})
})

test('an installation without limits shares nothing', async () => {
  const { log, records } = memoryLog({})
  expect(await PoolShare.open({ log, run: run(1), budget: createBudgetStage(), onLease: () => undefined })).toBe(null)
  expect(records).toHaveLength(1)
})

test('a log that cannot be written leases nothing, and the next request may try again', async () => {
  const { log } = memoryLog({ calls: 5 })
  let broken = false
  const { budget } = await gateOf(
    { transact: (see, decide) => (broken ? Promise.reject(new Error('disk')) : log.transact(see, decide)) },
    1,
  )
  broken = true
  await expect(budget.reserveShared(['run'], { calls: 1 })).rejects.toThrow('disk')
  broken = false
  expect((await budget.reserveShared(['run'], { calls: 1 })).ok).toBe(true)
})

test('any order of leasing, using, returning and ending keeps spent + leased ≤ limit at every prefix', async () => {
  const step = fc.record({ gate: fc.nat(2), act: fc.constantFrom('take', 'settle', 'end', 'die'), amount: fc.nat(12) })
  await fc.assert(
    fc.asyncProperty(fc.nat(60), fc.array(step, { maxLength: 40 }), async (limit, steps) => {
      const { log, records } = memoryLog({ calls: limit })
      let spent = 0
      let named = 0
      const gates = [await gateOf(log, named++), await gateOf(log, named++), await gateOf(log, named++)]
      for (const { gate, act, amount } of steps) {
        const one = gates[gate]
        if (one === undefined) continue
        if (act === 'take' || act === 'settle') {
          const taken = await one.budget.reserveShared(['run'], { calls: amount })
          const used = act === 'settle' ? Math.floor(amount / 2) : amount
          if (taken.ok) {
            one.budget.settle(taken.reservation, { calls: used })
            spent += used
          }
        } else {
          if (act === 'end') await one.share.end()
          gates[gate] = await gateOf(log, named++)
        }
      }
      expect(spent).toBeLessThanOrEqual(limit)
      proven(records)
    }),
    { numRuns: 150 },
  )
})
