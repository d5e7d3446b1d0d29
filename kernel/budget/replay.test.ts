import { describe, expect, test } from 'vitest'
import type { RecordBody } from '../audit/types.ts'
import type { Charges } from '../vocabulary/index.ts'
import { type LoggedRecord, replay, restoreBudget } from './replay.ts'

let seq = 0
const at = (body: RecordBody): LoggedRecord => ({ ...body, seq: ++seq })
const intent = (reserve: Charges, accounts: readonly string[] = ['run']) =>
  at({
    type: 'INTENT',
    op: 'fs.open',
    session: 's',
    action: 'fs.read',
    object: '/w/a',
    requested: '/w/a',
    rule: null,
    policy: 'p',
    blocks: [],
    accounts,
    reserve,
  })
const outcome = (of: LoggedRecord, captured: Charges, leased?: Charges) =>
  at({ type: 'OUTCOME', intent: of.seq, status: 'ok', captured, ...(leased === undefined ? {} : { leased }) })
const close = (of: LoggedRecord, captured: Charges) => at({ type: 'CLOSE', intent: of.seq, captured, detail: {} })
const lease = (of: LoggedRecord, reserve: Charges) => at({ type: 'LEASE', intent: of.seq, reserve })

describe('the log is enough to know what was spent', () => {
  test('captures, leases and time add up', () => {
    const a = intent({ calls: 1, concurrency: 1, bytes: 100 }, ['run', 'block:x'])
    const b = intent({ calls: 1, tokens: 50 })
    const records = [
      a,
      outcome(a, { calls: 1 }, { bytes: 100 }),
      lease(a, { bytes: 50 }),
      b,
      outcome(b, { calls: 1, tokens: 20 }),
      close(a, { bytes: 120 }),
      at({ type: 'TIME', captured: { wall_time_ms: 250 } }),
    ]
    const { spent, unknown } = replay(records)
    expect(Object.fromEntries(spent)).toEqual({
      run: { calls: 2, tokens: 20, bytes: 120, wall_time_ms: 250 },
      'block:x': { calls: 1, bytes: 120 },
    })
    expect(unknown).toEqual([])
  })

  test('time is of the run, and of what runs share where it leased time', () => {
    const passed = at({ type: 'TIME', captured: { wall_time_ms: 250, cpu_ms: 90 } })
    const { spent } = replay([passed, at({ type: 'LEASED', leased: { wall_time_ms: 1000, calls: 5 } }), passed])
    expect(Object.fromEntries(spent)).toEqual({ run: { wall_time_ms: 500, cpu_ms: 180 }, installation: { wall_time_ms: 250 } })
  })

  test('an intent without an outcome, and a lease without a close, count in full', () => {
    const lost = intent({ calls: 1, tokens: 70, concurrency: 1 })
    const open = intent({ calls: 1, bytes: 10 })
    const { spent, unknown } = replay([lost, open, outcome(open, { calls: 1 }, { bytes: 10 }), lease(open, { bytes: 30 })])
    expect(spent.get('run')).toEqual({ calls: 2, tokens: 70, bytes: 40 })
    expect(unknown).toEqual([lost.seq, open.seq])
  })

  test('the crash may come after any record: what is counted never falls below what was captured before it', () => {
    const a = intent({ calls: 1, bytes: 100 })
    const all = [a, outcome(a, { calls: 1 }, { bytes: 100 }), lease(a, { bytes: 60 }), close(a, { bytes: 130 })]
    const counted = all.map((_, i) => replay(all.slice(0, i + 1)).spent.get('run')?.bytes)
    expect(counted).toEqual([100, 100, 160, 130])
  })

  test('a lease may close before the outcome of what opened it', () => {
    const a = intent({ calls: 1, bytes: 100 })
    expect(replay([a, close(a, { bytes: 7 }), outcome(a, { calls: 1 }, { bytes: 100 })])).toMatchObject({
      spent: new Map([['run', { calls: 1, bytes: 7 }]]),
      unknown: [],
    })
    const b = intent({ calls: 1, bytes: 100 })
    expect(replay([b, close(b, { bytes: 7 })]).spent.get('run')).toEqual({ calls: 1, bytes: 7 })
  })

  test('a lease that began with nothing counts what it was renewed by', () => {
    const a = intent({ calls: 1 })
    const begun = [a, outcome(a, { calls: 1 }, {}), lease(a, { bytes: 30 })]
    expect(replay(begun)).toMatchObject({ spent: new Map([['run', { calls: 1, bytes: 30 }]]), unknown: [a.seq] })
    expect(replay([...begun, close(a, { bytes: 4 })])).toMatchObject({ spent: new Map([['run', { calls: 1, bytes: 4 }]]), unknown: [] })
  })

  test('double and forged outcomes count once or not at all; void counts nothing', () => {
    const a = intent({ calls: 1 })
    const b = intent({ calls: 1, tokens: 9 })
    const nobody = at({ type: 'OUTCOME', intent: 999_999, status: 'ok', captured: { calls: 500 } })
    const voided = at({ type: 'OUTCOME', intent: b.seq, status: 'void', captured: { calls: 1 } })
    expect(replay([a, outcome(a, { calls: 1 }), outcome(a, { calls: 1 }), nobody, b, voided]).spent.get('run')).toEqual({ calls: 1 })
  })

  test('a second outcome of a stream that still has its lease counts nothing', () => {
    const a = intent({ calls: 1, bytes: 9 })
    const leased = () => at({ type: 'OUTCOME', intent: a.seq, status: 'ok', captured: { calls: 1 }, leased: { bytes: 9 } })
    expect(replay([a, leased(), leased()]).spent.get('run')?.calls).toBe(1)
  })

  test('what an operator took back counts in each of its accounts, as far as it was charged for more than is known', () => {
    const a = intent({ calls: 1, tokens: 70 }, ['run', 'block:x'])
    const unknown = at({ type: 'OUTCOME', intent: a.seq, status: 'unknown', captured: { calls: 1, tokens: 70 } })
    const b = intent({ tokens: 30 })
    const records = [a, unknown, b, outcome(b, { tokens: 30 })]
    const spentAfter = (lowered: ReadonlyMap<number, Charges>) => Object.fromEntries(replay(records, lowered).spent)
    expect(spentAfter(new Map([[a.seq, { tokens: 60 }]]))).toEqual({ run: { calls: 1, tokens: 40 }, 'block:x': { calls: 1, tokens: 10 } })
    // More than was charged, and of what is known.
    expect(spentAfter(new Map([[a.seq, { tokens: 500 }]]))).toEqual({ run: { calls: 1, tokens: 30 }, 'block:x': { calls: 1 } })
    expect(spentAfter(new Map([[b.seq, { tokens: 30 }]]))).toEqual(spentAfter(new Map()))
  })

  test('a sum beyond what can be counted stays at 2^53−1, in whatever order it comes', () => {
    const most = Number.MAX_SAFE_INTEGER
    const [a, b] = [intent({ bytes: most }), intent({ bytes: 2 })]
    expect(replay([a, outcome(a, { bytes: most }), b, outcome(b, { bytes: 2 })]).spent.get('run')).toEqual({ bytes: most })
    expect(replay([b, outcome(b, { bytes: 2 }), a]).spent.get('run')).toEqual({ bytes: most })
  })

  test('amounts that are none are a fault of the log', () => {
    expect(() => replay([intent({ calls: -1 })])).toThrow(/record \d+: calls is -1/)
    expect(() => replay([intent(JSON.parse('{"calls":1e300}'))])).toThrow(expect.objectContaining({ code: 'E_AUDIT' }))
  })
})

describe('a restored stage', () => {
  const start = (limit: number) =>
    at({
      type: 'RUN_START',
      run: 'r',
      installation: 'i',
      build: 'b',
      operator_uid: 0,
      policy: 'p',
      policy_source: 's',
      isolation: 'kvm',
      limits: [{ account: 'run', dimension: 'calls', limit }],
      detail: {},
    })
  test('goes on where the log ends', () => {
    const a = intent({ calls: 7 })
    const stage = restoreBudget(replay([start(10), a, outcome(a, { calls: 7 })]))
    expect(stage.available(['run'], 'calls')).toBe(3)
    expect(stage.reserve(['run'], { calls: 4 }).ok).toBe(false)
  })
  test('is frozen when more was spent than allowed', () => {
    const a = intent({ calls: 12 })
    const stage = restoreBudget(replay([start(10), a, outcome(a, { calls: 12 })]), { limits: { calls: 100 } })
    expect(stage.reserve(['run'], { calls: 1 })).toMatchObject({ ok: false, frozen: true })
  })
})
