import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MAX_AMOUNT } from './limits.ts'
import { Pool } from './pool.ts'
import { type PoolLog, PoolShare } from './pool-share.ts'
import { createBudgetStage } from './stage.ts'
import { gateOf, memoryLog, proven, run } from './testing.ts'

const CENT = 10_000_000
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

test('a run whose lease another gate ended already, after its seal, says nothing more', async () => {
  const { log, records } = memoryLog({ calls: 32 })
  const { budget, share } = await gateOf(log, 1)
  const taken = await budget.reserveShared(['run'], { calls: 1 })
  if (taken.ok) budget.settle(taken.reservation, { calls: 1 })
  records.push({ type: 'BUDGET_SPENT', run: run(1), spent: { calls: 1 } })
  await share.end()
  expect(records.filter(({ type }) => type === 'BUDGET_SPENT')).toHaveLength(1)
  expect(proven(records).counted).toEqual({ calls: 1 })
})

test('a run that is over uses nothing of its lease any more, and leases nothing', async () => {
  const { log, records } = memoryLog({ calls: 32 })
  const { budget, share } = await gateOf(log, 1)
  const taken = await budget.reserveShared(['run'], { calls: 1 })
  if (taken.ok) budget.settle(taken.reservation, { calls: 1 })
  expect(proven(records).counted).toEqual({ calls: 2 })
  await share.end()
  const after = records.length
  expect(budget.reserve(['run', 'installation'], { calls: 1 })).toMatchObject({ ok: false, account: 'installation' })
  expect(await budget.reserveShared(['run'], { calls: 1 })).toMatchObject({ ok: false, account: 'installation' })
  await share.end()
  expect(records).toHaveLength(after)
  expect(proven(records).counted).toEqual({ calls: 1 })
})

test('an end that comes while a lease is written waits for it: what was reserved of it is spent', async () => {
  const { log, records } = memoryLog({ calls: 32 })
  let written: Promise<void> = Promise.resolve()
  const slow: PoolLog = {
    transact: async (see, decide) => {
      const seq = await log.transact(see, decide)
      await written
      return seq
    },
  }
  const { budget, share } = await gateOf(slow, 1)
  const { promise, resolve } = Promise.withResolvers<void>()
  written = promise
  const taking = budget.reserveShared(['run'], { calls: 1 })
  while (records.at(-1)?.type !== 'BUDGET_LEASE') await Promise.resolve()
  const ending = share.end()
  resolve()
  const [taken] = await Promise.all([taking, ending])
  expect(taken.ok).toBe(true)
  expect(proven(records).counted).toEqual({ calls: 1 })
})

test('a run that spent more than it reserved of what runs share is frozen there: it leases nothing more', async () => {
  const { log, records } = memoryLog({ calls: 64 })
  const { budget } = await gateOf(log, 1)
  const taken = await budget.reserveShared(['run'], { calls: 1 })
  if (taken.ok) budget.settle(taken.reservation, { calls: 60 })
  const before = records.length
  expect(await budget.reserveShared(['run'], { calls: 1 })).toMatchObject({ ok: false, account: 'installation', frozen: true })
  expect(records).toHaveLength(before)
})

test('a limit that is lowered below what is leased leaves nothing free, never less, and a run what it has', async () => {
  const { log, records } = memoryLog({ calls: 160 })
  const { budget } = await gateOf(log, 1)
  expect((await budget.reserveShared(['run'], { calls: 1 })).ok).toBe(true)
  const left = budget.available(['installation'], 'calls')
  expect(left).toBeGreaterThan(0)
  records.push({ type: 'BUDGET_LIMITS', limits: { calls: 1 }, by_uid: 0 })
  // Refused, it has seen the new limit.
  expect((await budget.reserveShared(['run'], { calls: 100, tokens: 1 })).ok).toBe(false)
  expect(budget.availableShared(['run'], 'calls')).toBe(budget.available(['installation'], 'calls'))
  const pool = new Pool()
  for (const record of [...records, { type: 'BUDGET_LEASE', run: run(2), lease: { calls: 9 } } as const]) pool.add(record)
  expect(pool.free('calls')).toBe(0)
})

test('a lease is never more than can be counted', () => {
  expect(new Pool().share({ bytes: MAX_AMOUNT })).toEqual({ bytes: MAX_AMOUNT })
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

test('what can be had is what is leased and what is still to lease, never more than the own limit', async () => {
  const { log } = memoryLog({ bytes: 100 })
  const [a, b] = await Promise.all([gateOf(log, 1), gateOf(log, 2)])
  const seen = (gate: typeof a) => gate.budget.availableShared(['run'], 'bytes')
  await b.budget.reserveShared(['run'], { bytes: 60 })
  expect([seen(a), seen(b)]).toEqual([100, 40])
  // Refused, it has seen what is left.
  expect((await a.budget.reserveShared(['run'], { bytes: 100 })).ok).toBe(false)
  expect(seen(a)).toBe(40)
  expect((await a.budget.reserveShared(['run'], { bytes: 40 })).ok).toBe(true)
  b.budget.limit('run', { bytes: 65 })
  expect(seen(b)).toBe(5)
  expect(b.budget.availableShared(['run'], 'calls')).toBe(Number.POSITIVE_INFINITY)
})

test('two requests of one run at once each get what is leased for them', async () => {
  const { log, records } = memoryLog({ calls: 10 })
  const { budget } = await gateOf(log, 1)
  const both = await Promise.all([budget.reserveShared(['run'], { calls: 5 }), budget.reserveShared(['run'], { calls: 5 })])
  expect(both.map(({ ok }) => ok)).toEqual([true, true])
  expect(proven(records).counted).toEqual({ calls: 10 })
})

test('what is being given back is not there any more while the record is written', async () => {
  const { log } = memoryLog({ calls: 3 })
  const meanwhile: boolean[] = []
  const watched: PoolLog = {
    transact: async (see, decide) => {
      let returns = false
      const seq = await log.transact(see, () => {
        const record = decide()
        returns = record?.type === 'BUDGET_RETURN'
        return record
      })
      if (returns) meanwhile.push(gate.budget.reserve(['run', 'installation'], { calls: 1 }).ok)
      return seq
    },
  }
  const gate = await gateOf(watched, 1)
  const taken = await gate.budget.reserveShared(['run'], { calls: 2 })
  if (taken.ok) gate.budget.settle(taken.reservation, { calls: 1 })
  expect(await gate.budget.reserveShared(['run'], { calls: 3 })).toMatchObject({ ok: false })
  expect(meanwhile).toEqual([false])
})

test('an installation without limits shares nothing', async () => {
  const { log, records } = memoryLog({})
  expect(await PoolShare.open({ log, run: run(1), budget: createBudgetStage(), cpus: null, onLease: () => undefined })).toBe(null)
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
