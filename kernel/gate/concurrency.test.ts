import { afterEach, describe, expect, test } from 'vitest'
import { serveMany } from './testing/many.ts'
import { openClass } from './testing/serve.ts'
import { captured, closeWorlds, codeOf, makeWorld, reserved, settle } from './testing/world.ts'

afterEach(closeWorlds)

const tally = (codes: readonly string[]): { readonly [code: string]: number } =>
  Object.groupBy
    ? Object.fromEntries(Object.entries(Object.groupBy(codes, (code) => code)).map(([code, all]) => [code, all?.length ?? 0]))
    : {}

describe('1,000 concurrent effects against a budget of 50: exactly 50 happen', () => {
  test('calls', async () => {
    const world = await makeWorld({ budgets: { calls: 50 } })
    const effects = Array.from({ length: 1000 }, (_, i) => world.effect({ path: `/work/${i}` }))
    const codes = await Promise.all(effects.map((effect) => codeOf(world.admit(effect))))
    expect(tally(codes)).toEqual({ done: 50, E_BUDGET_EXCEEDED: 950 })
    expect(effects.reduce((sum, effect) => sum + effect.happened, 0)).toBe(50)
    expect([captured(world.budget, 'calls'), reserved(world.budget)]).toEqual([50, 0])
    const { verdict, records } = await world.sealed()
    expect([verdict.status, verdict.findings]).toEqual(['intact', []])
    expect(records.filter((record) => record.type === 'INTENT').length).toBe(50)
  })

  test('bytes, whatever the effects use of what they reserved', async () => {
    const world = await makeWorld({ budgets: { bytes: 50 } })
    const effects = Array.from({ length: 1000 }, (_, i) =>
      world.effect({
        path: `/work/${i}`,
        charges: { bytes: 1 },
        execute: (permit) => {
          const lease = permit.lease()
          expect(lease.spend(1, 'bytes_in')).toBeUndefined()
          return lease.close({}).then(() => ({ result: [] }))
        },
      }),
    )
    const codes = await Promise.all(effects.map((effect) => codeOf(world.admit(effect))))
    expect(tally(codes)).toEqual({ done: 50, E_BUDGET_EXCEEDED: 950 })
    expect([captured(world.budget, 'bytes'), reserved(world.budget)]).toEqual([50, 0])
    expect((await world.sealed()).verdict.findings).toEqual([])
  })

  test('through eight sessions, some of which go away', async () => {
    const { effect, seen } = openClass()
    const world = await makeWorld({ budgets: { calls: 50 }, effects: [effect] })
    const sessions = await serveMany(world, 8)
    const answers = await Promise.all(
      Array.from({ length: 1000 }, (_, i) => sessions[i % 8]?.peer.call('fs.open', [`/work/${i}`, 1, 0]).catch(() => 'gone')),
    )
    expect(answers.filter((answer) => Array.isArray(answer)).length).toBe(50)
    expect(answers.filter((answer) => answer === 'E_BUDGET_EXCEEDED').length).toBe(950)
    expect(seen.length).toBe(50)
    await Promise.all(sessions.map(({ session }) => session.end()))
    expect([captured(world.budget, 'calls'), reserved(world.budget)]).toEqual([50, 0])
  })

  test('of a token’s block, by two sessions that hold it', async () => {
    const { effect, seen } = openClass()
    const world = await makeWorld({ budgets: { calls: 500 }, effects: [effect] })
    const token = world.capability.mint({ fs: { read: ['/work/**'] }, budget: { calls: 50 } }, { notBefore: 0, expires: 253402300799999 })
    const sessions = await serveMany(world, 2, token)
    const answers = await Promise.all(Array.from({ length: 400 }, (_, i) => sessions[i % 2]?.peer.call('fs.open', [`/work/${i}`, 1, 0])))
    expect(answers.filter((answer) => Array.isArray(answer)).length).toBe(50)
    expect([seen.length, captured(world.budget, 'calls'), reserved(world.budget)]).toEqual([50, 50, 0])
  })

  test('concurrency is held while they run and no longer', async () => {
    const world = await makeWorld({ budgets: { concurrency: 50 } })
    let running = 0
    let most = 0
    const effects = Array.from({ length: 1000 }, (_, i) =>
      world.effect({
        path: `/work/${i}`,
        execute: async () => {
          running += 1
          most = Math.max(most, running)
          await new Promise((resolve) => setImmediate(resolve))
          running -= 1
          return { result: [] }
        },
      }),
    )
    const codes = await Promise.all(effects.map((effect) => codeOf(world.admit(effect))))
    expect(most).toBe(50)
    expect(tally(codes)).toEqual({ done: 50, E_BUDGET_EXCEEDED: 950 })
    expect(await codeOf(world.admit(world.effect()))).toBe('done')
    expect(reserved(world.budget)).toBe(0)
  })
})

describe('reserve and hold', () => {
  const FOREVER = { notBefore: 0, expires: 253402300799999 }

  test('a child with places of its own holds no more of its parent’s, and none of its siblings’', async () => {
    const world = await makeWorld({ budgets: { concurrency: 5 } })
    const token = world.capability.mint({ fs: { read: ['/work/**'] }, budget: { concurrency: 2 } }, FOREVER)
    const handle = world.capability.bind('test:1', token)
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>()
    const holding = () => world.effect({ execute: () => held.then(() => ({ result: [] })) })
    const child = Array.from({ length: 10 }, () => codeOf(world.admit(holding(), { handle })))
    const siblings = Array.from({ length: 4 }, () => codeOf(world.admit(holding())))
    await settle()
    expect(reserved(world.budget)).toBeGreaterThan(0)
    letGo()
    expect(tally(await Promise.all(child))).toEqual({ done: 2, E_BUDGET_EXCEEDED: 8 })
    expect(tally(await Promise.all(siblings))).toEqual({ done: 3, E_BUDGET_EXCEEDED: 1 })
    expect(reserved(world.budget)).toBe(0)
  })

  test('a child with bytes of its own reserves no more of its parent’s, whatever it says it may need', async () => {
    const world = await makeWorld({ budgets: { bytes: 100 } })
    const token = world.capability.mint({ fs: { read: ['/work/**'] }, budget: { bytes: 40 } }, FOREVER)
    const handle = world.capability.bind('test:1', token)
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>()
    const holding = () =>
      world.effect({
        charges: (available) => ({ bytes: Math.min(60, available('bytes')) }),
        execute: () => held.then(() => ({ result: [] })),
      })
    const child = [codeOf(world.admit(holding(), { handle })), codeOf(world.admit(holding(), { handle }))]
    await settle()
    const sibling = codeOf(world.admit(holding()))
    await settle()
    // 40 of the child's, and the 60 its sibling asked for.
    expect(world.budget.rows(['run']).find(({ dimension }) => dimension === 'bytes')?.reserved).toBe(100)
    letGo()
    expect(await Promise.all([...child, sibling])).toEqual(['done', 'done', 'done'])
    expect(reserved(world.budget)).toBe(0)
  })
})
