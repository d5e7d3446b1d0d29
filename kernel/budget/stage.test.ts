import { AuthorityError } from '@authority/protocol'
import { describe, expect, test } from 'vitest'
import type { Charges } from '../vocabulary/index.ts'
import { MAX_ACCOUNTS, MAX_OPEN_RESERVATIONS, OPEN_OF_BLOCK } from './limits.ts'
import { createBudgetStage } from './stage.ts'
import type { BudgetStage, Reservation } from './types.ts'

const MAX = Number.MAX_SAFE_INTEGER

function taken(stage: BudgetStage, accounts: readonly string[], charges: Charges): Reservation {
  const result = stage.reserve(accounts, charges)
  if (!result.ok) throw new Error(`refused by ${result.account} ${result.dimension}`)
  return result.reservation
}

const row = (stage: BudgetStage, account: string, dimension: string) =>
  stage.rows([account]).find((each) => each.account === account && each.dimension === dimension)

describe('log bytes of the run', () => {
  test('are what its log counts: rows, marks and history say so, and effects of tokens still pay', () => {
    let bytes = 400
    let now = 10_000
    const told: string[] = []
    const stage = createBudgetStage({
      limits: { log_bytes: 1000, calls: 100 },
      logBytes: () => bytes,
      wallMs: () => now,
      onMark: ({ dimension, percent, captured }) => told.push(`${dimension} ${percent} ${captured}`),
    })
    stage.settle(taken(stage, ['run'], { calls: 1 }), { calls: 1 })
    bytes = 800
    now += 5000
    stage.settle(taken(stage, ['run'], { calls: 1 }), { calls: 1 })
    bytes = 820
    expect(row(stage, 'run', 'log_bytes')).toMatchObject({ limit: 1000, captured: 820, reserved: 0 })
    expect(told).toEqual(['log_bytes 50 800', 'log_bytes 80 800'])
    expect(
      stage
        .history('run')
        .find(({ dimension }) => dimension === 'log_bytes')
        ?.points.map(({ captured }) => captured),
    ).toEqual([800, 820])
    expect(stage.reserve(['run'], { log_bytes: 1001 })).toMatchObject({ ok: false, dimension: 'log_bytes' })
  })
  test('without a limit are not told', () => {
    expect(row(createBudgetStage({ logBytes: () => 5 }), 'run', 'log_bytes')).toBe(undefined)
  })
})

test('how many effects were under way at most is remembered', () => {
  const stage = createBudgetStage()
  const both = [taken(stage, ['run'], { concurrency: 1 }), taken(stage, ['run', 'class:fs'], { concurrency: 1 })]
  for (const each of both) stage.settle(each, {})
  expect([stage.mostAtOnce('run'), stage.mostAtOnce('class:fs'), stage.mostAtOnce('class:net')]).toEqual([2, 1, 0])
})

describe('a limit holds', () => {
  test('1,000 concurrent effects against a budget of 50: exactly 50 happen', async () => {
    const stage = createBudgetStage({ limits: { calls: 50 } })
    let happened = 0
    const effect = async (): Promise<void> => {
      const result = stage.reserve(['run'], { calls: 1, concurrency: 1 })
      if (!result.ok) return
      await Promise.resolve()
      happened += 1
      stage.settle(result.reservation, { calls: 1 })
    }
    await Promise.all(Array.from({ length: 1000 }, effect))
    expect(happened).toBe(50)
    expect(row(stage, 'run', 'calls')).toEqual({ account: 'run', dimension: 'calls', limit: 50, captured: 50, reserved: 0 })
  })

  test('$5 in reservations of $0.10, over 1,000 children of one parent: exactly 50', () => {
    const stage = createBudgetStage({ limits: { cost_nano_usd: 5_000_000_000 } })
    const results = Array.from({ length: 1000 }, (_, i) =>
      stage.reserve(['run', 'block:parent', `block:${i}`], { cost_nano_usd: 100_000_000 }),
    )
    expect(results.filter((result) => result.ok)).toHaveLength(50)
  })

  test('all accounts fit or none changes, and the refusal names the first that does not', () => {
    const stage = createBudgetStage({ limits: { calls: 100, bytes: 1000 } })
    stage.limit('block:a', { bytes: 10 })
    expect(stage.reserve(['run', 'block:a'], { calls: 1, bytes: 11 })).toEqual({
      ok: false,
      account: 'block:a',
      dimension: 'bytes',
      limit: 10,
      available: 10,
      asked: 11,
      frozen: false,
    })
    expect(row(stage, 'run', 'calls')).toMatchObject({ captured: 0, reserved: 0 })
    expect(row(stage, 'run', 'bytes')).toMatchObject({ captured: 0, reserved: 0 })
  })

  test('an account named twice is charged once', () => {
    const stage = createBudgetStage({ limits: { calls: 1 } })
    expect(stage.reserve(['run', 'run'], { calls: 1 }).ok).toBe(true)
    expect(stage.reserve(['run'], { calls: 1 }).ok).toBe(false)
  })

  test('concurrency is held while something runs and never spent', () => {
    const stage = createBudgetStage({ limits: { concurrency: 1 } })
    const first = taken(stage, ['run'], { concurrency: 1 })
    expect(stage.reserve(['run'], { concurrency: 1 }).ok).toBe(false)
    expect(stage.settle(first, { concurrency: 1 })).toMatchObject({ overrun: false })
    expect(stage.reserve(['run'], { concurrency: 1 }).ok).toBe(true)
  })

  test('the lower of two declared limits wins, and one below what was spent stops everything', () => {
    const stage = createBudgetStage({ limits: { calls: 10 } })
    stage.limit('run', { calls: 20 })
    expect(stage.available(['run'], 'calls')).toBe(10)
    stage.settle(taken(stage, ['run'], { calls: 5 }), { calls: 5 })
    stage.limit('run', { calls: 4 })
    expect(stage.reserve(['run'], { bytes: 1 })).toMatchObject({ ok: false, frozen: true, dimension: 'calls', available: 0 })
  })

  test('a limit declared late meets what was spent before', () => {
    const stage = createBudgetStage()
    stage.settle(taken(stage, ['run', 'block:a'], { calls: 3 }), { calls: 3 })
    stage.limit('block:a', { calls: 5 })
    expect(stage.available(['run', 'block:a'], 'calls')).toBe(2)
  })

  test('what is leased falls below what was spent of it: nothing more of the account, of whatever kind', () => {
    const stage = createBudgetStage()
    stage.lease('installation', { calls: 10 })
    stage.settle(taken(stage, ['installation'], { calls: 5 }), { calls: 5 })
    stage.lease('installation', { calls: 4 })
    expect(stage.reserve(['installation'], { bytes: 1 })).toMatchObject({ ok: false, frozen: true, dimension: 'calls' })
  })

  test('time that passes in a frozen account leaves none of it, never less', () => {
    const stage = createBudgetStage({ limits: { calls: 1, wall_time_ms: 100 } })
    stage.settle(taken(stage, ['run'], { calls: 1 }), { calls: 2 })
    stage.settle(taken(stage, ['run'], { wall_time_ms: 100 }), { wall_time_ms: 150 })
    expect(stage.available(['run'], 'wall_time_ms')).toBe(0)
  })

  test('available is the tightest account’s; unlimited is Infinity', () => {
    const stage = createBudgetStage({ limits: { bytes: 100 } })
    stage.limit('block:a', { bytes: 30 })
    taken(stage, ['run', 'block:a'], { bytes: 10 })
    expect(stage.available(['run', 'block:a'], 'bytes')).toBe(20)
    expect(stage.available(['run'], 'bytes')).toBe(90)
    expect(stage.available(['run', 'never seen'], 'tokens')).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('settlement', () => {
  test('frees what was not used', () => {
    const stage = createBudgetStage({ limits: { tokens: 100 } })
    expect(stage.settle(taken(stage, ['run'], { tokens: 100 }), { tokens: 40 })).toMatchObject({ overrun: false })
    expect(stage.available(['run'], 'tokens')).toBe(60)
  })

  test('twice, or in another order, changes nothing', () => {
    const stage = createBudgetStage({ limits: { calls: 10 } })
    const a = taken(stage, ['run'], { calls: 3 })
    const b = taken(stage, ['run'], { calls: 4 })
    stage.settle(b, { calls: 4 })
    stage.settle(a, { calls: 3 })
    const before = stage.rows()
    stage.settle(b, { calls: 4 })
    stage.settle(a, { calls: 100 })
    stage.void(a)
    stage.void(b)
    expect(stage.rows()).toEqual(before)
  })

  test('void frees everything, once; settling afterwards charges nothing', () => {
    const stage = createBudgetStage({ limits: { calls: 1 } })
    const first = taken(stage, ['run'], { calls: 1 })
    stage.void(first)
    stage.void(first)
    stage.settle(first, { calls: 1 })
    expect(stage.available(['run'], 'calls')).toBe(1)
  })

  test('forged reservations are refused: the ledger believes only what it gave out', () => {
    const stage = createBudgetStage({ limits: { calls: 10 } })
    const real = taken(stage, ['run'], { calls: 5 })
    const forged = { ...real, accounts: ['elsewhere'], charges: { calls: MAX } }
    stage.settle(forged, { calls: 5 })
    expect(row(stage, 'run', 'calls')).toMatchObject({ captured: 5, reserved: 0 })
    for (const id of [0, -1, 2, 1.5, Number.NaN]) expect(() => stage.settle({ ...real, id }, { calls: 1 })).toThrow(RangeError)
  })

  test('more than promised is captured in full and freezes the accounts that cannot hold it', () => {
    const stage = createBudgetStage({ limits: { tokens: 100 } })
    stage.limit('block:a', { tokens: 1000 })
    expect(stage.settle(taken(stage, ['run', 'block:a'], { tokens: 50 }), { tokens: 150 })).toMatchObject({ overrun: true })
    expect(row(stage, 'run', 'tokens')).toMatchObject({ captured: 150 })
    expect(stage.reserve(['run'], { calls: 1 })).toMatchObject({ ok: false, frozen: true, account: 'run', dimension: 'tokens' })
    expect(stage.reserve(['run'], {})).toMatchObject({ ok: false, frozen: true })
    expect(stage.available(['run'], 'bytes')).toBe(0)
    expect(stage.reserve(['block:a'], { tokens: 1 }).ok).toBe(true)
  })

  test('an overrun that still fits is reported and freezes nothing', () => {
    const stage = createBudgetStage({ limits: { tokens: 100 } })
    expect(stage.settle(taken(stage, ['run'], { tokens: 10 }), { tokens: 20, calls: 1 })).toMatchObject({ overrun: true })
    expect(stage.available(['run'], 'tokens')).toBe(80)
  })

  test('an overrun beyond 2^53 stays at 2^53−1 and freezes even an unlimited account', () => {
    const stage = createBudgetStage()
    stage.settle(taken(stage, ['run'], { bytes: MAX - 1 }), { bytes: MAX - 1 })
    expect(stage.settle(taken(stage, ['run'], { bytes: 1 }), { bytes: 10 })).toMatchObject({ overrun: true })
    expect(row(stage, 'run', 'bytes')).toMatchObject({ captured: MAX })
    expect(stage.reserve(['run'], { calls: 1 }).ok).toBe(false)
  })

  test('ten million captured in a hundred thousand steps drifts by nothing', () => {
    const stage = createBudgetStage({ limits: { cost_nano_usd: 10_000_000 } })
    for (let i = 0; i < 100_000; i++) stage.settle(taken(stage, ['run'], { cost_nano_usd: 100 }), { cost_nano_usd: 100 })
    expect(row(stage, 'run', 'cost_nano_usd')).toMatchObject({ captured: 10_000_000, reserved: 0 })
    expect(stage.available(['run'], 'cost_nano_usd')).toBe(0)
  })
})

describe('a lease that is renewed', () => {
  test('grows while there is room, and is settled as one', () => {
    const stage = createBudgetStage({ limits: { bytes: 100 } })
    const lease = taken(stage, ['run'], { bytes: 40 })
    expect(stage.extend(lease, { bytes: 50 })).toMatchObject({ ok: true, reservation: { id: lease.id, charges: { bytes: 90 } } })
    expect(stage.extend(lease, { bytes: 20 })).toMatchObject({ ok: false, available: 10, asked: 20 })
    stage.settle(lease, { bytes: 70 })
    expect(row(stage, 'run', 'bytes')).toMatchObject({ captured: 70, reserved: 0 })
  })

  test('cannot be renewed after it was settled', () => {
    const stage = createBudgetStage()
    const lease = taken(stage, ['run'], { bytes: 1 })
    stage.settle(lease, {})
    expect(() => stage.extend(lease, { bytes: 1 })).toThrow(RangeError)
  })
})

describe('only exact amounts', () => {
  test('are what the list of charges says when it is given, not when it was read first', () => {
    const stage = createBudgetStage({ limits: { calls: 10 } })
    const charges = { calls: 1 }
    stage.settle(taken(stage, ['run'], charges), charges)
    charges.calls = 9
    stage.settle(taken(stage, ['run'], charges), charges)
    expect(stage.reserve(['run'], { calls: 1 })).toMatchObject({ ok: false, available: 0 })
  })

  const bad: [string, Charges][] = [
    ['negative', { calls: -1 }],
    ['a fraction', { calls: 0.5 }],
    ['NaN', { calls: Number.NaN }],
    ['Infinity', { calls: Number.POSITIVE_INFINITY }],
    ['2^53', { calls: 2 ** 53 }],
    ['a string', JSON.parse('{"calls":"1"}')],
    ['null', JSON.parse('{"calls":null}')],
    ['an unknown dimension', JSON.parse('{"kilocalls":1}')],
    ['a prototype', JSON.parse('{"__proto__":{"calls":1}}')],
  ]
  test.each(bad)('%s is refused everywhere and changes nothing', (_, charges) => {
    const stage = createBudgetStage({ limits: { calls: 10 } })
    const open = taken(stage, ['run'], { calls: 1 })
    const before = stage.rows()
    expect(() => stage.reserve(['run'], charges)).toThrow(RangeError)
    expect(() => stage.extend(open, charges)).toThrow(RangeError)
    expect(() => stage.settle(open, charges)).toThrow(RangeError)
    expect(() => stage.limit('run', charges)).toThrow(RangeError)
    expect(() => createBudgetStage({ limits: charges })).toThrow(RangeError)
    expect(stage.rows()).toEqual(before)
  })

  test('sums above 2^53−1 are refused, limit or none', () => {
    const stage = createBudgetStage()
    taken(stage, ['run'], { bytes: MAX })
    expect(stage.reserve(['run'], { bytes: 1 })).toMatchObject({ ok: false, limit: MAX, available: 0 })
  })

  test('a reservation is charged to someone', () => {
    const stage = createBudgetStage()
    expect(() => stage.reserve([], { calls: 1 })).toThrow(RangeError)
    expect(() => stage.reserve([''], { calls: 1 })).toThrow(RangeError)
    expect(() => stage.reserve(['x'.repeat(129)], { calls: 1 })).toThrow(RangeError)
    expect(() =>
      stage.reserve(
        Array.from({ length: 33 }, (_, i) => `${i}`),
        { calls: 1 },
      ),
    ).toThrow(RangeError)
  })
})

describe('bounded', () => {
  test('are the effects under way at once, whoever pays for them; one that ends makes room', { timeout: 60_000 }, () => {
    const stage = createBudgetStage()
    const first = taken(stage, ['run'], {})
    for (let i = 1; i < MAX_OPEN_RESERVATIONS; i++) stage.reserve(['run'], {})
    expect(() => stage.reserve(['run'], {})).toThrow(expect.objectContaining({ code: 'E_RATE_LIMIT' }))
    stage.void(first)
    expect(stage.reserve(['run'], {}).ok).toBe(true)
  })

  test('one child that reserves and never ends leaves its siblings and its parent their places, however many children it makes', {
    timeout: 60_000,
  }, () => {
    const stage = createBudgetStage()
    const ofGreedy = Math.floor(MAX_OPEN_RESERVATIONS * OPEN_OF_BLOCK ** 2)
    const path = (...blocks: string[]) => Object.freeze(['run', ...blocks.map((block) => `block:${block}`)])
    const grandchildren = Array.from({ length: 10 }, (_, i) => path('root', 'greedy', `${i}`))
    const held = Array.from({ length: ofGreedy }, (_, i) => taken(stage, grandchildren[i % 10] ?? [], {}))
    const refused = expect.objectContaining({ code: 'E_RATE_LIMIT', message: expect.stringContaining('block:greedy') })
    for (const names of [path('root', 'greedy'), path('root', 'greedy', '0'), path('root', 'greedy', 'another')])
      expect(() => stage.reserve(names, {})).toThrow(refused)
    expect(stage.reserve(path('root', 'sibling'), {}).ok).toBe(true)
    expect(stage.reserve(path('root'), {}).ok).toBe(true)
    const [one] = held
    if (one !== undefined) stage.void(one)
    expect(stage.reserve(path('root', 'greedy', '0'), {}).ok).toBe(true)
  })

  test('idle accounts without limits make room; the run’s and declared ones never do', () => {
    const stage = createBudgetStage()
    stage.settle(taken(stage, ['run'], { calls: 1 }), { calls: 1 })
    for (let i = 0; i < MAX_ACCOUNTS + 10; i++) stage.settle(taken(stage, [`block:${i}`], { calls: 1 }), { calls: 1 })
    expect(stage.rows()).toHaveLength(MAX_ACCOUNTS)
    expect(row(stage, 'run', 'calls')).toMatchObject({ captured: 1 })
  })

  test('when all are in use the next is refused', () => {
    const stage = createBudgetStage()
    for (let i = 1; i < MAX_ACCOUNTS; i++) stage.limit(`block:${i}`, { calls: 1 })
    expect(() => stage.reserve(['one more'], { calls: 1 })).toThrow(AuthorityError)
  })
})

test('soft marks are told once each, at 50, 80 and 95 % captured', () => {
  const told: string[] = []
  const stage = createBudgetStage({
    limits: { calls: 20 },
    onMark: ({ account, dimension, percent, captured }) => told.push(`${account} ${dimension} ${percent} at ${captured}`),
  })
  for (let i = 0; i < 20; i++) stage.settle(taken(stage, ['run'], { calls: 1 }), { calls: 1 })
  expect(told).toEqual(['run calls 50 at 10', 'run calls 80 at 16', 'run calls 95 at 19'])
})

test('settling without amounts captures all that was reserved, but for the gauge, and says so', () => {
  const stage = createBudgetStage()
  const charges = { calls: 1, concurrency: 1, bytes: 0 }
  expect(stage.settle(taken(stage, ['run'], charges))).toEqual({ overrun: false, captured: { calls: 1 } })
  expect(stage.settle(taken(stage, ['run'], Object.freeze(charges)))).toEqual({ overrun: false, captured: { calls: 1 } })
  expect(row(stage, 'run', 'calls')).toMatchObject({ captured: 2, reserved: 0 })
  expect(row(stage, 'run', 'concurrency')).toBeUndefined()
})

test('what is remembered of a list of accounts ends with the accounts: one that made room is opened anew and counted', () => {
  const stage = createBudgetStage()
  const accounts = Object.freeze(['block:old'])
  stage.settle(taken(stage, accounts, { calls: 1 }))
  for (let i = 0; i < MAX_ACCOUNTS; i++) stage.settle(taken(stage, [`block:${i}`], { calls: 1 }))
  expect(row(stage, 'block:old', 'calls')).toBeUndefined()
  taken(stage, accounts, { calls: 1 })
  expect(row(stage, 'block:old', 'calls')).toMatchObject({ captured: 0, reserved: 1 })
})
