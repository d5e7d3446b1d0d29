import { describe, expect, test } from 'vitest'
import type { RecordBody } from '../audit/types.ts'
import type { Charges } from '../vocabulary/index.ts'
import { AdjustableEffects, less } from './adjustable.ts'
import { MAX_ADJUSTABLE_EFFECTS, MAX_AMOUNT } from './limits.ts'
import type { LoggedRecord } from './replay.ts'

type Outcome = Extract<RecordBody, { type: 'OUTCOME' }>

const intent = (seq: number, accounts: readonly string[] = ['run']): LoggedRecord => ({
  seq,
  type: 'INTENT',
  op: 'net.fetch',
  session: 's',
  action: 'net.connect',
  object: 'api.example:443',
  requested: 'api.example:443',
  rule: null,
  policy: 'p',
  blocks: [],
  accounts,
  reserve: {},
})
const outcome = (of: number, captured: Charges, more: Partial<Outcome> = {}): LoggedRecord => ({
  seq: of + 1000,
  type: 'OUTCOME',
  intent: of,
  status: 'ok',
  captured,
  ...more,
})
const close = (of: number, captured: Charges): LoggedRecord => ({ seq: of + 2000, type: 'CLOSE', intent: of, captured, detail: {} })
const recovered: LoggedRecord = { seq: 900, type: 'RECOVERED', bytes: 0, sha256: '' }

function found(...records: readonly LoggedRecord[]) {
  const effects = new AdjustableEffects()
  for (const record of records) effects.add(record)
  return effects.all
}

describe('what is charged for more than is known', () => {
  test('is an unknown outcome, an overrun, and a lease the gate did not close', () => {
    const unknown = [intent(1, ['run', 'installation']), outcome(1, { calls: 1, cost_nano_usd: 7 }, { status: 'unknown' })]
    const overrun = [intent(2), outcome(2, { tokens: 90 }, { overrun: true })]
    const lease = [intent(3), outcome(3, { calls: 1 }, { leased: { bytes: 50 } }), recovered, close(3, { bytes: 50 })]
    expect(found(...unknown, ...overrun, ...lease)).toMatchObject([
      { intent: 1, why: 'unknown', op: 'net.fetch', accounts: ['run', 'installation'], captured: { calls: 1, cost_nano_usd: 7 } },
      { intent: 2, why: 'overrun', captured: { tokens: 90 } },
      { intent: 3, why: 'lease', captured: { bytes: 50 } },
    ])
  })

  test('is never what is known: an outcome that is ok, failed or void, and a lease that the gate closed', () => {
    for (const status of ['ok', 'failed', 'void'] as Outcome['status'][])
      expect(found(intent(1), outcome(1, { calls: 1 }, { status }))).toEqual([])
    expect(found(intent(1), outcome(1, { calls: 1 }, { leased: { bytes: 50 } }), close(1, { bytes: 9 }), recovered)).toEqual([])
  })

  test('is never an outcome without its intent, before its intent, or a second one', () => {
    const unknown = (calls: number) => outcome(1, { calls }, { status: 'unknown' })
    expect(found(unknown(5))).toEqual([])
    expect(found(unknown(5), intent(1))).toEqual([])
    expect(found(intent(1), outcome(1, { calls: 1 }), unknown(5))).toEqual([])
    expect(found(intent(1), outcome(1, { calls: 1 }, { leased: { bytes: 1 } }), unknown(5))).toEqual([])
    expect(found(intent(1), unknown(1), unknown(5))).toMatchObject([{ captured: { calls: 1 } }])
  })

  test('is one close of a lease, however often it is written', () => {
    expect(found(recovered, intent(1), close(1, { bytes: 4 }), close(1, { bytes: 9 }))).toMatchObject([{ captured: { bytes: 4 } }])
  })

  test('is its outcome and its lease together, never more than can be counted, and no place', () => {
    const both = found(
      intent(1),
      outcome(1, { calls: 1, bytes: MAX_AMOUNT, concurrency: 1 }, { status: 'unknown', leased: { bytes: 5 } }),
      recovered,
      close(1, { bytes: 5 }),
    )
    expect(both).toMatchObject([{ why: 'unknown', captured: { calls: 1, bytes: MAX_AMOUNT } }])
    expect(both[0]?.captured).not.toHaveProperty('concurrency')
    expect(found(intent(1), outcome(1, { concurrency: 1 }, { status: 'unknown' }))).toEqual([])
  })

  test('of one effect alone where that is asked for', () => {
    const effects = new AdjustableEffects((seq) => seq === 2)
    for (const seq of [1, 2]) for (const record of [intent(seq), outcome(seq, { calls: 1 }, { status: 'unknown' })]) effects.add(record)
    expect(effects.all).toHaveLength(1)
    expect(effects.get(1)).toBeNull()
    expect(effects.get(2)).toMatchObject({ intent: 2 })
  })

  test('is listed up to a limit', () => {
    const effects = new AdjustableEffects()
    for (let seq = 1; seq <= MAX_ADJUSTABLE_EFFECTS + 1; seq++)
      for (const record of [intent(seq), outcome(seq, { calls: 1 }, { status: 'unknown' })]) effects.add(record)
    expect(effects.all).toHaveLength(MAX_ADJUSTABLE_EFFECTS)
  })

  test('amounts that are none are none', () => {
    for (const calls of [-1, 0.5, Number.NaN, MAX_AMOUNT + 1])
      expect(() => found(intent(1), outcome(1, { calls }, { status: 'unknown' }))).toThrow(RangeError)
  })
})

test('what is left of charges is never below nothing, and has no zeros', () => {
  expect(less({ calls: 3, bytes: 10, tokens: 1 }, { calls: 3, bytes: 4, tokens: 9 })).toEqual({ bytes: 6 })
})
