import fc from 'fast-check'
import { expect, it } from 'vitest'
import { KEPT_SESSIONS, KEPT_SHAPES } from './limits.ts'
import { PlainRecords } from './plain-records.ts'
import type { RecordBody } from './types.ts'

const units = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)), maxLength: 60 })
const plain = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((unit) => String.fromCharCode(unit)), maxLength: 60 })
const texts = fc.oneof(
  { weight: 30, arbitrary: plain.map((text) => text.replaceAll(/["\\]/g, '.')) },
  { weight: 1, arbitrary: plain },
  { weight: 1, arbitrary: units },
)
const few = fc.constantFrom('a', 'b', 'session:3', 'ü', '"')
const counts = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constantFrom(0, 9, 10, 99, 100, 2 ** 31 - 1, 2 ** 31, 999_999_999, 1_000_000_000))
const amounts = fc.dictionary(fc.constantFrom('calls', 'bytes', 'concurrency'), fc.oneof(counts, fc.constant(undefined)), { maxKeys: 3 })
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined })
const seldom = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, value)

const intents = fc.record({
  type: fc.constant('INTENT'),
  op: few,
  session: few,
  action: fc.option(few),
  object: texts,
  requested: texts,
  rule: fc.option(few),
  policy: few,
  blocks: fc.array(few, { maxLength: 2 }),
  accounts: fc.array(few, { maxLength: 2 }),
  reserve: amounts,
  args: maybe(texts),
  claimed: seldom(fc.record({ pid: fc.nat(), exe: texts })),
})
const outcomes = fc.record({
  type: fc.constant('OUTCOME'),
  intent: counts,
  status: fc.constantFrom('ok', 'error', 'unknown', 'void'),
  code: maybe(few),
  captured: amounts,
  leased: maybe(amounts),
  overrun: maybe(fc.boolean()),
  detail: seldom(fc.constant({ a: 1 })),
  us: maybe(fc.dictionary(fc.constantFrom('policy', 'intent', 'execute'), counts, { maxKeys: 3 })),
})

function written(records: PlainRecords, bytes: Buffer, body: unknown): string | null {
  const end = records.write(body as RecordBody, 5)
  return end === null ? null : `{${bytes.subarray(6, end).toString('utf8')}`
}

it('a plain INTENT or OUTCOME is, byte for byte, what JSON.stringify gives, whatever was written before it; all others are left to that', () => {
  const bytes = Buffer.alloc(8192)
  const records = new PlainRecords(bytes)
  let plainOnes = 0
  fc.assert(
    fc.property(fc.array(fc.oneof(intents, outcomes), { minLength: 20, maxLength: 40 }), (bodies) => {
      for (const body of bodies) {
        const text = written(records, bytes, body)
        if (text === null) continue
        plainOnes++
        expect(text).toBe(JSON.stringify(body))
      }
    }),
  )
  expect(plainOnes).toBeGreaterThan(500)
})

it('what is escaped, not ASCII or no count is not plain', () => {
  const bytes = Buffer.alloc(8192)
  const records = new PlainRecords(bytes)
  const outcome = { type: 'OUTCOME', intent: 1, status: 'ok', code: 'E_IO', captured: { calls: 1 } }
  expect(written(records, bytes, outcome)).toBe(JSON.stringify(outcome))
  for (const unit of ['"', '\\', '\n', '\u0000', '\u001f', '\u007f', 'é', '字', '\ud800', '\udc00'])
    for (const length of [0, 200]) expect(written(records, bytes, { ...outcome, code: 'x'.repeat(length) + unit })).toBeNull()
  for (const count of [-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])
    expect(written(records, bytes, { ...outcome, captured: { calls: count } })).toBeNull()
})

it('a shape whose lists were changed by their owner since is made anew', () => {
  const bytes = Buffer.alloc(8192)
  const records = new PlainRecords(bytes)
  const accounts = ['run']
  const body = {
    ...fc.sample(intents, { numRuns: 1, seed: 1 })[0],
    object: 'o',
    requested: 'o',
    args: undefined,
    claimed: undefined,
    reserve: {},
    accounts,
  }
  expect(written(records, bytes, body)).toBe(JSON.stringify(body))
  accounts[0] = 'other'
  expect(written(records, bytes, body)).toBe(JSON.stringify(body))
})

it('of more sessions and kinds of effects than are kept each is written as it is', () => {
  const bytes = Buffer.alloc(8192)
  const records = new PlainRecords(bytes)
  const base = {
    type: 'INTENT',
    action: null,
    object: 'o',
    requested: 'p',
    rule: null,
    policy: 'p',
    blocks: [],
    accounts: [],
    reserve: { calls: 1 },
  }
  for (let i = 0; i < 3 * KEPT_SESSIONS * KEPT_SHAPES; i++) {
    const { type, ...rest } = base
    const body = { type, op: `op${i % (KEPT_SHAPES + 3)}`, session: `s${i % (KEPT_SESSIONS + 7)}`, ...rest }
    expect(written(records, bytes, body)).toBe(JSON.stringify(body))
  }
})

it('a record that does not fit the memory has the length it would have', () => {
  const records = new PlainRecords(Buffer.alloc(64))
  const body = { type: 'OUTCOME', intent: 1, status: 'ok', code: 'x'.repeat(5000), captured: {} }
  expect(records.write(body as unknown as RecordBody, 5)).toBe(5 + JSON.stringify(body).length)
})
