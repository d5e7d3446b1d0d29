import { afterEach, describe, expect, test } from 'vitest'
import type { RecordBody } from '../audit/index.ts'
import { DenialLedger, LookLedger } from './coalesce.ts'
import { MAX_DENIAL_BYTES, MAX_DISTINCT_DENIALS, MAX_DISTINCT_LOOKS, MAX_LOOK_BYTES_PER_FLUSH, MAX_REPEATS_PER_FLUSH } from './limits.ts'
import { closeWorlds, codeOf, makeWorld } from './testing/world.ts'

afterEach(closeWorlds)

/** The log's own bound on one record. */
const MAX_PAYLOAD = 60 * 1024

/** Counts and bounds what is appended. */
function fakeAudit() {
  const records: RecordBody[] = []
  let bytes = 0
  let largest = 0
  let broken = false
  return {
    records,
    get bytes() {
      return bytes
    },
    get largest() {
      return largest
    },
    break: () => {
      broken = true
    },
    stage: {
      append: (body: RecordBody) => {
        if (broken) throw new Error('latched')
        const size = Buffer.byteLength(JSON.stringify({ seq: 2 ** 40, t: '2026-01-01T00:00:00.000Z', boot_ms: 2 ** 40, ...body }))
        bytes += size
        largest = Math.max(largest, size)
        return records.push(body) - 1
      },
      durable: () => Promise.resolve(),
      commit: () => '',
      hold: () => null,
      release: () => undefined,
      tight: false,
      latched: null,
      get frameBytes() {
        return bytes
      },
      get bytes() {
        return bytes
      },
      seal: () => Promise.reject(new Error('not in this test')),
    },
  }
}

const denial = (object: string, more: Partial<Extract<RecordBody, { type: 'DENY' }>> = {}): Extract<RecordBody, { type: 'DENY' }> => ({
  type: 'DENY',
  op: 'fs.open',
  session: 'test:1',
  action: 'fs.read',
  object,
  requested: object,
  code: 'E_POLICY_DENY',
  rule: null,
  reason: `no rule allows fs.read ${object}`,
  fix: JSON.stringify({ version: '1.0', fs: { read: [object] } }),
  policy: 'ab'.repeat(32),
  ...more,
})

/** Names that grow most when they are written down: six bytes for one, escapes of escapes, three-byte characters. */
const WORST_NAMES = ['\u0001', '"', '\\', '€', '\u2028', '😀'].map(
  (character) => `/${character.repeat(4095 / Buffer.byteLength(character))}`,
)

describe('denials', () => {
  test('repeats return the first record’s number and are counted', async () => {
    const world = await makeWorld()
    const seqs = new Set<number>()
    for (let i = 0; i < 20; i++) {
      const denied = await world.admit(world.effect({ path: '/etc/x' })).catch((error: { denial?: { seq: number } }) => error)
      seqs.add((denied as { denial: { seq: number } }).denial.seq)
    }
    expect(seqs.size).toBe(1)
    world.pipeline.flush()
    expect(world.appended.filter((record) => record.type === 'DENY').length).toBe(1)
    expect(world.appended.at(-1)).toEqual({ type: 'DENY_REPEAT', first: [...seqs][0], count: 19 })
    expect(world.pipeline.statistics.denials).toBe(20)
    const { verdict } = await world.sealed()
    expect(verdict.findings).toEqual([])
  })

  test('another operation, object, code or rule is another denial', () => {
    const audit = fakeAudit()
    const ledger = new DenialLedger(audit.stage)
    const all = [
      denial('/a'),
      denial('/b'),
      denial('/a', { op: 'fs.stat' }),
      denial('/a', { code: 'E_CAP_SCOPE' }),
      denial('/a', { rule: '/fs/deny/0' }),
    ]
    expect(new Set(all.map((each) => ledger.record(each))).size).toBe(all.length)
    // No field can imitate two others.
    expect(ledger.record(denial('/a', { rule: 'x\nfs.read' }))).not.toBe(ledger.record(denial('/a', { rule: 'x', action: 'fs.write' })))
  })

  test('100,000 distinct ones: a bounded number of records, of bytes, and of entries', () => {
    const audit = fakeAudit()
    const ledger = new DenialLedger(audit.stage)
    for (let i = 0; i < 100_000; i++) ledger.record(denial(`/etc/${i}`))
    ledger.flush(true)
    expect(ledger.total).toBe(100_000)
    expect(ledger.size).toBe(MAX_DISTINCT_DENIALS + 1)
    expect(audit.records.length).toBe(MAX_DISTINCT_DENIALS + 2)
    const counted = audit.records.reduce((sum, record) => sum + (record.type === 'DENY_REPEAT' ? record.count : 1), 0)
    expect(counted).toBe(100_000)
  })

  test('long ones fill no more of the log than short ones', () => {
    const audit = fakeAudit()
    const ledger = new DenialLedger(audit.stage)
    for (let i = 0; i < 6_000; i++) ledger.record(denial(`/${i}${'"'.repeat(4000)}`))
    ledger.flush(true)
    expect(audit.bytes).toBeLessThan(MAX_DENIAL_BYTES + 2 * MAX_PAYLOAD)
  })

  test('one seen before the bound keeps its number beyond it', () => {
    const audit = fakeAudit()
    const ledger = new DenialLedger(audit.stage)
    const first = ledger.record(denial('/first'))
    for (let i = 0; i < 2 * MAX_DISTINCT_DENIALS; i++) ledger.record(denial(`/${i}`))
    expect(ledger.record(denial('/first'))).toBe(first)
    expect(ledger.record(denial('/new', { code: 'E_CAP_SCOPE' }))).not.toBe(ledger.record(denial('/new')))
  })

  test('a flush writes a bounded number of repeats, the last one all', () => {
    const audit = fakeAudit()
    const ledger = new DenialLedger(audit.stage)
    for (let round = 0; round < 2; round++) for (let i = 0; i < 1000; i++) ledger.record(denial(`/${i}`))
    const before = audit.records.length
    ledger.flush(false)
    expect(audit.records.length - before).toBe(MAX_REPEATS_PER_FLUSH)
    ledger.flush(true)
    expect(audit.records.length - before).toBe(1000)
    ledger.flush(true)
    expect(audit.records.length - before).toBe(1000)
  })

  test('no name makes a record the log refuses', async () => {
    const audit = fakeAudit()
    const ledger = new DenialLedger(audit.stage)
    for (const name of WORST_NAMES)
      ledger.record(
        denial(name, {
          reason: name.repeat(4),
          fix: JSON.stringify({ fs: { read: [name.repeat(2)] } }),
          claimed: { pid: 1, exe: name.slice(0, 900) },
        }),
      )
    expect(audit.largest).toBeLessThan(MAX_PAYLOAD)
    const world = await makeWorld()
    for (const path of WORST_NAMES) expect(await codeOf(world.admit(world.effect({ path })))).toBe('E_POLICY_DENY')
    expect((await world.sealed()).verdict.status).toBe('intact')
  })
})

describe('looks', () => {
  test('the same look is one entry with its count', () => {
    const audit = fakeAudit()
    const ledger = new LookLedger(audit.stage, false)
    for (let i = 0; i < 1000; i++) ledger.count('fs.stat', '/fs/read/0', '/work/a')
    ledger.flush()
    expect(audit.records).toEqual([{ type: 'LOOK', counts: [{ op: 'fs.stat', rule: '/fs/read/0', object: '/work/a', count: 1000 }] }])
    ledger.flush()
    expect(audit.records.length).toBe(1)
  })

  test('names of any kind and size: no record too large, every look counted', () => {
    const audit = fakeAudit()
    const ledger = new LookLedger(audit.stage, true)
    let looks = 0
    for (const name of [
      ...WORST_NAMES,
      ...WORST_NAMES.map((each) => each.slice(0, 999)),
      ...WORST_NAMES.map((each) => each.slice(0, 1900)),
    ])
      for (let i = 0; i < 60; i++) {
        ledger.count('image.open', '/fs/read/0', `${name}${i}`)
        looks += 1
      }
    ledger.flush()
    expect(audit.largest).toBeLessThan(MAX_PAYLOAD)
    const counted = audit.records
      .flatMap((record) => (record.type === 'LOOK' ? record.counts : []))
      .reduce((sum, { count }) => sum + count, 0)
    expect(counted).toBe(looks)
    expect(audit.records.every((record) => record.type === 'LOOK' && record.guest_claimed === true)).toBe(true)
  })

  test('looking around a million files between two flushes writes a bounded log', () => {
    const audit = fakeAudit()
    const ledger = new LookLedger(audit.stage, false)
    for (let i = 0; i < 200_000; i++) ledger.count('fs.stat', '/fs/read/0', `/work/${i}/${'n'.repeat(200)}`)
    expect(ledger.size).toBeLessThanOrEqual(MAX_DISTINCT_LOOKS)
    ledger.flush()
    expect(audit.bytes).toBeLessThan(MAX_LOOK_BYTES_PER_FLUSH * 1.5)
    const counted = audit.records
      .flatMap((record) => (record.type === 'LOOK' ? record.counts : []))
      .reduce((sum, { count }) => sum + count, 0)
    expect(counted).toBe(200_000)
    ledger.count('fs.stat', null, '/work/after')
    ledger.flush()
    expect(audit.records.at(-1)).toMatchObject({ counts: [{ object: '/work/after' }] })
  })

  test('a log that takes nothing any more does not make it grow', () => {
    const audit = fakeAudit()
    const ledger = new LookLedger(audit.stage, false)
    audit.break()
    for (let i = 0; i < 10_000; i++) {
      try {
        ledger.count('fs.stat', null, `/work/${i}`)
      } catch {}
    }
    expect(ledger.size).toBeLessThanOrEqual(MAX_DISTINCT_LOOKS)
  })
})
