import { AuthorityError } from '@authority/protocol'
import { afterEach, describe, expect, test } from 'vitest'
import type { RecordBody } from '../audit/index.ts'
import { attenuate } from '../capability/index.ts'
import { closeWorlds, codeOf, makeWorld, reserved, settle, type World } from './testing/world.ts'

afterEach(closeWorlds)

const LIMIT = 64 * 1024

function narrowed(world: World, log_bytes = LIMIT): number {
  return world.capability.bind('test:1', attenuate(world.capability.runToken, { budget: { log_bytes } }))
}

/** Bytes of a record's frame in the log: its head, its JSON, and padding to 8 (FORMAT.md). */
function frameOf(record: RecordBody): number {
  return Math.ceil((48 + Buffer.byteLength(JSON.stringify(record))) / 8) * 8
}

/** Of the records that tell the effects a block was charged for. */
function bytesOf(records: readonly RecordBody[]): number {
  const intents = new Set<number>()
  let bytes = 0
  for (const [seq, record] of records.entries()) {
    if (
      record.type === 'INTENT' &&
      record.accounts.some((account) => account.startsWith('block:')) &&
      record.reserve.log_bytes !== undefined
    )
      intents.add(seq)
    const of = record.type === 'INTENT' ? seq : record.type === 'OUTCOME' || record.type === 'CLOSE' ? record.intent : -1
    if (intents.has(of)) bytes += frameOf(record)
  }
  return bytes
}

describe('log bytes of a token', () => {
  test('an effect whose records would not fit is refused by the block’s budget before it happens; others go on', async () => {
    const world = await makeWorld()
    const handle = narrowed(world)
    let happened = 0
    for (; ; happened++) {
      const effect = world.effect({ path: `/work/${happened}` })
      const code = await codeOf(world.admit(effect, { handle }))
      if (code === 'done') continue
      expect([code, effect.happened]).toEqual(['E_BUDGET_EXCEEDED', 0])
      break
    }
    expect(happened).toBeGreaterThan(20)
    expect(world.appended.at(-1)).toMatchObject({ type: 'DENY', rule: expect.stringMatching(/^budget:block:[0-9a-f]{32}\/log_bytes$/) })
    expect(await codeOf(world.admit(world.effect()))).toBe('done')
    expect(reserved(world.budget)).toBe(0)
    const { verdict, records } = await world.sealed()
    expect(verdict).toMatchObject({ status: 'intact', findings: [] })
    expect(bytesOf(records)).toBeGreaterThan(LIMIT / 4)
    expect(bytesOf(records)).toBeLessThanOrEqual(LIMIT)
  })

  test('however many at once, however long their names, whatever becomes of them: never more than the limit', async () => {
    const world = await makeWorld()
    const handle = narrowed(world)
    const stop = new AbortController()
    const effects = Array.from({ length: 60 }, (_, i) =>
      world.effect({
        path: `/work/${i}/${'"x'.repeat(1 + ((i * 97) % 700))}`,
        ...(i % 4 === 1 ? { charges: { bytes: 10 } } : {}),
        execute: async (permit) => {
          if (i % 4 === 1) await permit.lease().close({ bytes: 0, name: 'n'.repeat(300) })
          if (i % 4 === 2) throw new AuthorityError('E_IO', 'z'.repeat(9000), { errno: 'EIO' })
          return { result: [], detail: { more: 'd'.repeat(i * 10) } }
        },
      }),
    )
    const codes = effects.map((effect, i) => codeOf(world.admit(effect, { handle, ...(i % 4 === 3 ? { signal: stop.signal } : {}) })))
    stop.abort(new AuthorityError('E_CANCELLED', 'gone'))
    await Promise.all(codes)
    await settle()
    expect(reserved(world.budget)).toBe(0)
    const { verdict, records } = await world.sealed()
    expect(verdict).toMatchObject({ status: 'intact', findings: [] })
    expect(bytesOf(records)).toBeGreaterThan(0)
    expect(bytesOf(records)).toBeLessThanOrEqual(LIMIT)
  })

  test('what is cancelled before it begins is charged for what it left in the log', async () => {
    const world = await makeWorld({ hold: true })
    const handle = narrowed(world)
    const stop = new AbortController()
    const admitted = codeOf(world.admit(world.effect(), { handle, signal: stop.signal }))
    await settle()
    stop.abort(new AuthorityError('E_CANCELLED', 'gone'))
    world.flush()
    await settle()
    world.flush()
    expect(await admitted).toBe('E_CANCELLED')
    expect(world.appended.at(-1)).toMatchObject({ type: 'OUTCOME', status: 'void', captured: { log_bytes: expect.any(Number) } })
  })

  test('an effect is charged its INTENT as it stands in the log, room for its ends and their detail', async () => {
    const world = await makeWorld()
    const handle = narrowed(world)
    const detail = { more: 'd'.repeat(500) }
    await world.admit(world.effect({ execute: () => ({ result: [], detail }) }), { handle })
    const close = world.effect({
      charges: { bytes: 1 },
      execute: (permit) =>
        permit
          .lease()
          .close({})
          .then(() => ({ result: [] })),
    })
    await world.admit(close, { handle })
    const { records } = await world.sealed()
    const intents = records.filter((record) => record.type === 'INTENT').map(frameOf)
    const charged = records.flatMap((record) => (record.type === 'OUTCOME' ? [record.captured.log_bytes ?? 0] : []))
    expect(charged).toEqual([(intents[0] ?? 0) + 1024 + JSON.stringify(detail).length, (intents[1] ?? 0) + 2 * 1024])
  })

  test('effects of tokens without such a limit are charged none', async () => {
    const world = await makeWorld()
    await world.admit(world.effect())
    const handle = world.capability.bind('test:1', attenuate(world.capability.runToken, { budget: { calls: 3 } }))
    await world.admit(world.effect(), { handle })
    for (const record of world.appended) if (record.type === 'INTENT') expect(record.reserve).toEqual({ calls: 1, concurrency: 1 })
  })
})
