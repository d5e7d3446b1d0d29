import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAnyRecord, RUN_SHAPES } from './shapes.ts'
import { fromTemplate } from './templates.ts'

const text = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom('/a', 'é', '\u2028', '') },
  { weight: 1, arbitrary: fc.constantFrom('"', '\\', '\n') },
)
const amount = fc.oneof(
  { weight: 9, arbitrary: fc.nat() },
  fc.constantFrom<number | string | null>(0, -1, 0.5, 2 ** 53, 2 ** 53 - 1, '1', null),
)
const amounts = fc.dictionary(fc.constantFrom('calls', 'bytes', '1', 'a b', '__proto__', 'toString'), amount, { maxKeys: 3 })
const head = {
  seq: fc.constantFrom(7, 7, 7, 8),
  t: fc.constantFrom('2026-11-23T04:00:00.000Z', '2026-11-23T04:00:00.001Z', '2026-11-23'),
  boot_ms: fc.nat(),
}
const intent = fc.record({
  ...head,
  type: fc.constant('INTENT'),
  op: text,
  session: text,
  action: fc.option(text),
  object: text,
  requested: text,
  rule: fc.option(text),
  policy: text,
  blocks: fc.array(text, { maxLength: 2 }),
  accounts: fc.array(text, { maxLength: 3 }),
  reserve: amounts,
})
const outcome = fc.record(
  {
    ...head,
    type: fc.constant('OUTCOME'),
    intent: fc.oneof(fc.nat(), fc.constant(-1)),
    status: fc.constantFrom('ok', 'error', 'unknown', 'void', 'fine'),
    code: text,
    captured: amounts,
    leased: amounts,
    us: fc.dictionary(fc.constantFrom('policy', 'execute', 'other'), amount, { maxKeys: 2 }),
  },
  { requiredKeys: ['seq', 't', 'boot_ms', 'type', 'intent', 'status', 'captured'] },
)

/** What a careless or hostile writer would do to the text. */
const twist = fc.constantFrom<(text: string) => string>(
  (t) => t,
  (t) => t.replace(':', ': '),
  (t) => t.replace('"calls":', '"calls":1,"calls":'),
  (t) => t.replace(/:(\d)/, ':0$1'),
  (t) => t.replace('}', ',}'),
  (t) => `${t} `,
  (t) => t.replace('{"', '{"x":1,"'),
  (t) => t.replace(/"reserve":\{/, '"reserve":{"n":{},'),
)

describe('templates', () => {
  it('say what the general way says, of whatever they recognise', () => {
    let recognised = 0
    fc.assert(
      fc.property(fc.oneof(intent, outcome), twist, (record, twisted) => {
        const source = twisted(JSON.stringify(record))
        const fast = fromTemplate(source, 7)
        if (fast === null) return
        recognised++
        const slow = parseAnyRecord(source, 7, RUN_SHAPES)
        if (typeof slow === 'string') throw new Error(`${slow}: ${source}`)
        expect({ type: fast.type, t: fast.t, bootMs: fast.bootMs }).toEqual({ type: slow.type, t: slow.t, bootMs: slow.bootMs })
        for (const [name, value] of Object.entries(fast.fields)) expect(value, name).toEqual(slow.fields[name])
      }),
      { numRuns: 4000 },
    )
    expect(recognised).toBeGreaterThan(200)
  })

  it('leave nothing out that a rule looks at', () => {
    const record = {
      seq: 7,
      t: '2026-11-23T04:00:00.000Z',
      boot_ms: 1,
      type: 'OUTCOME',
      intent: 3,
      status: 'ok',
      captured: {},
      overrun: true,
    }
    expect(fromTemplate(JSON.stringify(record), 7)).toBe(null)
  })
})
