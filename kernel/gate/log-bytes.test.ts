import { AuthorityError } from '@authority/protocol'
import { afterEach, describe, expect, test } from 'vitest'
import { closeWorlds, codeOf, makeWorld, reserved, settle, type World } from './testing/world.ts'

const LIMIT = 48 * 1024

afterEach(closeWorlds)

function limited(options: Parameters<typeof makeWorld>[0] = {}): Promise<World> {
  return makeWorld({ ...options, budgets: { ...options.budgets, log_bytes: LIMIT } })
}

/** One at a time, until the first is refused; answers how many happened and the code of the refusal. */
async function fill(world: World): Promise<{ readonly happened: number; readonly code: string }> {
  for (let happened = 0; ; happened++) {
    const effect = world.effect({ path: `/work/${happened}` })
    const code = await codeOf(world.admit(effect))
    if (code === 'done') continue
    expect(effect.happened).toBe(0)
    return { happened, code }
  }
}

async function expectSoundWithin(world: World): Promise<void> {
  const { verdict } = await world.sealed()
  expect(verdict).toMatchObject({ status: 'intact', findings: [] })
  expect(world.audit.latched).toBe(null)
}

describe('log bytes are a budget', () => {
  test('an effect whose records would not fit is refused by budget before it happens; the log closes nothing and seals', async () => {
    const world = await limited()
    const { happened, code } = await fill(world)
    expect(happened).toBeGreaterThan(5)
    expect(code).toBe('E_BUDGET_EXCEEDED')
    expect(world.appended.at(-1)).toMatchObject({ type: 'DENY', code: 'E_BUDGET_EXCEEDED', rule: 'budget:run/log_bytes' })
    expect([world.audit.latched, reserved(world.budget)]).toEqual([null, 0])
    await expectSoundWithin(world)
  })

  test('of many at once, each either happens and is told whole or is refused before', async () => {
    const world = await limited({ hold: true })
    const effects = Array.from({ length: 200 }, (_, i) => world.effect({ path: `/work/${i}/${'x'.repeat(250)}` }))
    const codes = Promise.all(effects.map((effect) => codeOf(world.admit(effect))))
    for (let i = 0; i < 12; i++) {
      await settle()
      world.flush()
    }
    const answers = await codes
    expect(new Set(answers)).toEqual(new Set(['done', 'E_BUDGET_EXCEEDED']))
    expect(effects.map(({ happened }) => happened)).toEqual(answers.map((code) => (code === 'done' ? 1 : 0)))
    await expectSoundWithin(world)
  })

  test('denials have their room when effects have none, and are counted when they have none either', async () => {
    const world = await limited()
    await fill(world)
    for (let i = 0; i < 300; i++) expect(await codeOf(world.admit(world.effect({ path: `/etc/${i}` })))).toBe('E_POLICY_DENY')
    expect(world.pipeline.statistics.denials).toBe(301)
    const { verdict, records } = await world.sealed()
    expect(verdict).toMatchObject({ status: 'intact', denials: 301 })
    expect(records.some((record) => record.type === 'DENY' && record.object === '/etc/0')).toBe(true)
  })

  test('a flood of denials alone neither fills the log nor ends without being told', async () => {
    const world = await limited()
    const operations = ['fs.open', 'fs.unlink', 'fs.mkdir', 'fs.rename'] as const
    for (let i = 0; i < 400; i++)
      await codeOf(world.admit(world.effect({ path: `/etc/${i}/${'\u0001'.repeat(900)}` }), { operation: operations[i % 4] ?? 'fs.open' }))
    const { verdict } = await world.sealed()
    expect(verdict).toMatchObject({ status: 'intact', denials: 400 })
  })

  test('a look whose record would not fit is refused; those that were allowed are told', async () => {
    const world = await limited()
    const look = (path: string): unknown =>
      world.pipeline.look({ operation: 'fs.stat', subject: { session: 's', via: 'session' }, handle: 0, effect: world.effect({ path }) })
    let looks = 0
    const codes = new Set<string>()
    for (let i = 0; i < 400; i++) {
      const code = await codeOf(async () => look(`/work/${i}/${'y'.repeat(200)}`))
      codes.add(code)
      if (code === 'done') looks++
      if (i % 50 === 0) world.pipeline.flush()
    }
    expect(codes).toEqual(new Set(['done', 'E_BUDGET_EXCEEDED']))
    expect(world.pipeline.statistics.looks).toBe(looks)
    const { verdict, records } = await world.sealed()
    expect(verdict.status).toBe('intact')
    const told = records.flatMap((record) => (record.type === 'LOOK' ? record.counts : [])).reduce((sum, { count }) => sum + count, 0)
    expect(told).toBe(looks)
  })

  test('an open handle gets no more bytes than the log can tell, and is closed on record', async () => {
    const world = await limited()
    let spend: (bytes: number) => undefined | Promise<void> = () => undefined
    let close: () => Promise<void> = () => Promise.resolve()
    await world.admit(
      world.effect({
        charges: { bytes: 10 },
        execute: (permit) => {
          const lease = permit.lease()
          spend = (bytes) => lease.spend(bytes, 'bytes_in')
          close = () => lease.close({ bytes: 10 })
          return { result: [] }
        },
      }),
    )
    await fill(world)
    expect(await codeOf(Promise.resolve(spend(10)))).toBe('done')
    for (let i = 0; i < 20; i++) {
      const code = await codeOf(Promise.resolve(spend(64 << 20)))
      if (code !== 'done') expect(code).toBe('E_BUDGET_EXCEEDED')
    }
    expect(world.appended.at(-1)).toMatchObject({ type: 'DENY', op: 'fs.open', rule: 'budget:run/log_bytes', object: '/work/a' })
    await close()
    expect(world.appended.at(-1)).toMatchObject({ type: 'CLOSE' })
    await expectSoundWithin(world)
  })

  test('an outcome with more to tell than there is room for is told without its detail', async () => {
    const world = await limited()
    const message = 'z'.repeat(5000)
    const open: (() => void)[] = []
    const first = world.effect({
      execute: () => new Promise((_, reject) => open.push(() => reject(new AuthorityError('E_IO', message, { errno: 'EIO' })))),
    })
    const admitted = codeOf(world.admit(first))
    while (open.length === 0) await settle(1)
    await fill(world)
    for (const fail of open) fail()
    expect(await admitted).toBe('E_IO')
    const { verdict, records } = await world.sealed()
    expect(verdict.status).toBe('intact')
    const intent = records.findIndex(({ type }) => type === 'INTENT')
    const outcome = records.find((record) => record.type === 'OUTCOME' && record.intent === intent)
    expect(outcome).toMatchObject({ status: 'error', code: 'E_IO' })
    expect(outcome).not.toHaveProperty('detail')
  })

  test('a revocation has its room in a log without other room', async () => {
    const world = await limited()
    await fill(world)
    world.audit.append({ type: 'REVOKE', block: 'b'.repeat(32), by: 'operator' })
    await world.audit.durable()
    await expectSoundWithin(world)
  })
})
