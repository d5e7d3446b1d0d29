import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Charges, DIMENSIONS, type Dimension } from '../vocabulary/index.ts'
import { createBudgetStage } from './stage.ts'
import type { Reservation } from './types.ts'

/** Random operations against a model that knows nothing but sums. */
const ACCOUNTS = ['run', 'block:a', 'block:b', 'block:c'] as const
const USED: readonly Dimension[] = ['calls', 'bytes', 'concurrency']
const amount = fc.oneof(fc.nat(30), fc.constantFrom(0, 1, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 1))
const charges = fc.dictionary(fc.constantFrom(...USED), amount) as fc.Arbitrary<Charges>
const path = fc.subarray([...ACCOUNTS], { minLength: 1 })
const operation = fc.oneof(
  { weight: 5, arbitrary: fc.record({ op: fc.constant('reserve' as const), path, charges }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('settle' as const), which: fc.nat(), charges }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('settle within' as const), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('extend' as const), which: fc.nat(), charges }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('void' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('limit' as const), account: fc.constantFrom(...ACCOUNTS), charges }) },
)

test('captured + reserved ≤ limit for every account that is not frozen, whatever happens in whatever order', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...USED), fc.nat(100)), fc.array(operation, { maxLength: 60 }), (limits, operations) => {
      const stage = createBudgetStage({ limits })
      const given: Reservation[] = []
      const open = new Map<number, { accounts: readonly string[]; charges: Charges }>()
      const spent = new Map<string, number>()
      const add = (accounts: readonly string[], used: Charges): void => {
        for (const account of accounts)
          for (const dimension of DIMENSIONS) {
            const key = `${account} ${dimension}`
            if (dimension !== 'concurrency')
              spent.set(key, Math.min(Number.MAX_SAFE_INTEGER, (spent.get(key) ?? 0) + (used[dimension] ?? 0)))
          }
      }
      const settle = (reservation: Reservation | undefined, used: Charges): void => {
        if (reservation === undefined) return
        const known = open.get(reservation.id)
        stage.settle(reservation, used)
        if (known !== undefined) add(known.accounts, used)
        open.delete(reservation.id)
      }
      let exact = true
      for (const each of operations) {
        // Near 2^53−1 the account saturates and freezes: the invariant holds, the exact sums below do not.
        if ('charges' in each && each.op !== 'limit' && Object.values(each.charges).some((value) => (value ?? 0) > 1e9)) exact = false
        const pick = 'which' in each ? given[each.which % Math.max(1, given.length)] : undefined
        if (each.op === 'reserve') {
          const result = stage.reserve(each.path, each.charges)
          if (result.ok) {
            given.push(result.reservation)
            open.set(result.reservation.id, { accounts: each.path, charges: each.charges })
          }
        } else if (each.op === 'limit') stage.limit(each.account, each.charges)
        else if (each.op === 'void' && pick !== undefined) {
          stage.void(pick)
          open.delete(pick.id)
        } else if (each.op === 'settle within') settle(pick, open.get(pick?.id ?? 0)?.charges ?? {})
        else if (each.op === 'settle') settle(pick, each.charges)
        else if (each.op === 'extend' && pick !== undefined && open.has(pick.id)) {
          const result = stage.extend(pick, each.charges)
          if (result.ok) open.set(pick.id, { accounts: pick.accounts, charges: result.reservation.charges })
        }
        checkInvariant(stage)
        if (exact)
          for (const { account, dimension, captured, reserved } of stage.rows()) {
            expect(captured).toBe(spent.get(`${account} ${dimension}`) ?? 0)
            const held = [...open.values()]
              .filter((one) => one.accounts.includes(account))
              .reduce((sum, one) => sum + (one.charges[dimension] ?? 0), 0)
            expect(reserved).toBe(held)
          }
      }
    }),
    { numRuns: 400 },
  )
})

function checkInvariant(stage: ReturnType<typeof createBudgetStage>): void {
  for (const { account, dimension, limit, captured, reserved } of stage.rows()) {
    expect(Number.isSafeInteger(captured) && captured >= 0 && Number.isSafeInteger(reserved) && reserved >= 0).toBe(true)
    expect(captured + reserved).toBeLessThanOrEqual(Number.MAX_SAFE_INTEGER)
    if (captured + reserved <= (limit ?? Number.MAX_SAFE_INTEGER)) continue
    expect(stage.reserve([account], { [dimension]: 0 })).toMatchObject({ ok: false, frozen: true })
  }
}
