import { AuthorityError } from '@authority/protocol'
import { afterEach, describe, expect, test } from 'vitest'
import { lastBlockId } from '../capability/index.ts'
import { captured, closeWorlds, codeOf, makeWorld, reserved, settle } from './testing/world.ts'

afterEach(closeWorlds)

describe('the steps and their order', () => {
  test('capability → policy → budget → INTENT durable → execute → OUTCOME durable → reply', async () => {
    const world = await makeWorld()
    const effect = world.effect()
    await world.admit(effect)
    world.trace.push('reply')
    expect(world.trace.filter((step) => step !== 'settle')).toEqual([
      'capability',
      'policy',
      'resolve',
      'capability',
      'policy',
      'budget',
      'INTENT',
      'durable',
      'capability',
      'policy',
      'execute',
      'OUTCOME',
      'durable',
      'release',
      'reply',
    ])
    expect([effect.happened, effect.releases]).toEqual([1, 1])
    expect(reserved(world.budget)).toBe(0)
    expect(captured(world.budget, 'calls')).toBe(1)
  })

  test('an effect waits for its INTENT to be durable, the reply for its OUTCOME', async () => {
    const world = await makeWorld({ hold: true })
    const effect = world.effect()
    let replied = false
    const admitted = world.admit(effect).then(() => {
      replied = true
    })
    await settle()
    expect(world.trace).toContain('INTENT')
    expect([effect.happened, world.waiting]).toEqual([0, 1])
    world.flush()
    await settle()
    expect(world.trace).toContain('OUTCOME')
    expect([effect.happened, replied]).toEqual([1, false])
    world.flush()
    await admitted
    expect(replied).toBe(true)
  })

  test('the record of an effect is written and verifies', async () => {
    const world = await makeWorld({ budgets: { calls: 3 } })
    await world.admit(world.effect({ path: '/work/dir/file', real: '/work/real' }))
    const { verdict, records } = await world.sealed()
    expect(verdict.findings).toEqual([])
    expect(verdict.status).toBe('intact')
    expect(records.find((record) => record.type === 'INTENT')).toMatchObject({
      op: 'fs.open',
      action: 'fs.read',
      object: '/work/real',
      requested: '/work/dir/file',
      rule: '/fs/read/0',
      reserve: { calls: 1 },
    })
    expect(records.find((record) => record.type === 'OUTCOME')).toMatchObject({ status: 'ok', captured: { calls: 1 } })
  })
})

describe('nothing happens when a step refuses', () => {
  test('policy, as asked: nothing is looked at, the denial is on record and carries a fix', async () => {
    const world = await makeWorld()
    const effect = world.effect({ path: '/etc/passwd' })
    const denied = await world.admit(effect).catch((error: unknown) => error)
    expect(denied).toMatchObject({
      code: 'E_POLICY_DENY',
      denial: { permission: 'fs.read', object: '/etc/passwd', seq: expect.any(Number) },
    })
    expect((denied as AuthorityError).denial?.fix).toContain('/etc/passwd')
    expect(world.trace).not.toContain('resolve')
    expect([effect.happened, effect.releases]).toEqual([0, 1])
    expect(world.trace.indexOf('durable')).toBeGreaterThan(world.trace.indexOf('DENY'))
    expect(captured(world.budget, 'calls')).toBe(0)
  })

  test('policy, of what a link leads to: the agent is not told where', async () => {
    const world = await makeWorld()
    const effect = world.effect({ path: '/work/link', real: '/etc/shadow' })
    const denied = (await world.admit(effect).catch((error: unknown) => error)) as AuthorityError
    expect(denied.code).toBe('E_POLICY_DENY')
    expect(effect.happened).toBe(0)
    expect(JSON.stringify([denied.message, denied.denial])).not.toContain('shadow')
    expect(world.appended.find((record) => record.type === 'DENY')).toMatchObject({ object: '/etc/shadow', requested: '/work/link' })
  })

  test('a token, of what a link leads to: neither', async () => {
    const world = await makeWorld()
    const token = world.capability.mint({ fs: { read: ['/work/link'] } }, { notBefore: 0, expires: 253402300799999 })
    const handle = world.capability.bind('test:1', token)
    const effect = world.effect({ path: '/work/link', real: '/work/hidden-place' })
    const denied = (await world.admit(effect, { handle }).catch((error: unknown) => error)) as AuthorityError
    expect(denied.code).toBe('E_CAP_SCOPE')
    expect(effect.happened).toBe(0)
    expect(JSON.stringify([denied.message, denied.denial])).not.toContain('hidden')
  })

  test('a question nobody asked', async () => {
    const world = await makeWorld()
    const effect = world.effect({ requested: [] })
    expect(await codeOf(world.admit(effect))).toBe('E_POLICY_DENY')
    expect(effect.happened).toBe(0)
  })

  test('a stage that fails: recorded, and its fault is not the agent’s to see', async () => {
    const world = await makeWorld()
    const { pipeline } = world
    const broken = {
      ...world.stages,
      policy: {
        ...world.policy,
        decide: () => {
          throw new TypeError('inner workings')
        },
      },
    }
    const { AdmitPipeline } = await import('./admit.ts')
    const effect = world.effect()
    const refused = new AdmitPipeline(broken).admit({
      operation: 'fs.open',
      subject: { session: 'test:1', via: 'session' },
      handle: 0,
      effect,
      signal: new AbortController().signal,
    })
    const denied = (await refused.catch((error: unknown) => error)) as AuthorityError
    expect(denied.code).toBe('E_INTERNAL')
    expect(denied.message).not.toContain('inner workings')
    expect(effect.happened).toBe(0)
    expect(world.appended.at(-1)).toMatchObject({ type: 'DENY', code: 'E_INTERNAL' })
    expect(pipeline.statistics.effects).toBe(0)
  })

  test('a budget: nothing stays reserved, whichever dimension does not fit', async () => {
    for (const budgets of [{ calls: 0 }, { bytes: 10 }, { concurrency: 0 }]) {
      const world = await makeWorld({ budgets })
      const effect = world.effect({ charges: { bytes: 11 } })
      const denied = await world.admit(effect).catch((error: unknown) => error)
      expect(denied).toMatchObject({ code: 'E_BUDGET_EXCEEDED', denial: { object: '/work/a' } })
      expect([effect.happened, reserved(world.budget)]).toEqual([0, 0])
      expect(world.trace).not.toContain('INTENT')
    }
  })

  test('a worst case that is no number', async () => {
    const world = await makeWorld()
    const effect = world.effect({ charges: { bytes: Number.NaN } })
    await expect(world.admit(effect)).rejects.toThrow(RangeError)
    expect([effect.happened, effect.releases, reserved(world.budget)]).toEqual([0, 1, 0])
  })

  test('an object the effect itself refuses: a denial on record like any other', async () => {
    const world = await makeWorld()
    const effect = world.effect({
      resolve: () => {
        throw new AuthorityError('E_POLICY_DENY', 'the file has 2 hard links', { errno: 'EPERM' })
      },
    })
    const refusal = await world.admit(effect).catch((error: unknown) => error)
    expect(refusal).toMatchObject({ code: 'E_POLICY_DENY', errno: 'EPERM', denial: { fix: '' } })
    expect(effect.happened).toBe(0)
    expect(world.appended.at(-1)).toMatchObject({ type: 'DENY', rule: 'built-in:object', reason: 'the file has 2 hard links', fix: null })
    expect(world.pipeline.statistics).toMatchObject({ denials: 1, looks: 0 })
  })

  test('an object that is not there: no effect, no charge, but counted as a look', async () => {
    const world = await makeWorld()
    const effect = world.effect({
      resolve: () => {
        throw new AuthorityError('E_NOT_FOUND', 'no such file')
      },
    })
    expect(await codeOf(world.admit(effect))).toBe('E_NOT_FOUND')
    expect([effect.happened, effect.releases, captured(world.budget, 'calls')]).toEqual([0, 1, 0])
    expect(world.pipeline.statistics.looks).toBe(1)
  })
})

describe('revocation and the INTENT', () => {
  test('a token revoked while the INTENT is written performs nothing, and its INTENT is void', async () => {
    const world = await makeWorld({ hold: true, budgets: { calls: 5, bytes: 500 } })
    const token = world.capability.mint({ fs: { read: ['/work/**'] } }, { notBefore: 0, expires: 253402300799999 })
    const handle = world.capability.bind('test:1', token)
    const effect = world.effect({ charges: { bytes: 100 } })
    const admitted = codeOf(world.admit(effect, { handle }))
    await settle()
    expect(world.trace).toContain('INTENT')
    world.capability.revoke(lastBlockId(token))
    world.flush()
    await settle()
    // The void OUTCOME is durable before the answer, too.
    expect(world.waiting).toBe(1)
    world.flush()
    expect(await admitted).toBe('E_CAP_REVOKED')
    expect([effect.happened, reserved(world.budget), captured(world.budget, 'calls')]).toEqual([0, 0, 0])
    expect(world.appended.at(-1)).toMatchObject({ type: 'OUTCOME', status: 'void', code: 'E_CAP_REVOKED' })
  })
})

describe('a log that cannot be written', () => {
  test.each(['EIO', 'ENOSPC'] as const)('%s under the INTENT: nothing happens, then or later', async (code) => {
    for (const call of ['write', 'datasync'] as const) {
      const world = await makeWorld({ budgets: { calls: 9 } })
      world.disk.call = call
      world.disk.broken = code
      const effect = world.effect()
      expect(await codeOf(world.admit(effect))).toBe('E_AUDIT')
      world.disk.broken = null
      for (const path of ['/work/a', '/etc/x']) expect(await codeOf(world.admit(world.effect({ path })))).toBe('E_AUDIT')
      expect(world.trace).not.toContain('execute')
      expect([effect.releases, reserved(world.budget)]).toEqual([1, 0])
      expect(
        await codeOf(() =>
          world.pipeline.look({ operation: 'fs.stat', subject: { session: 's', via: 'session' }, handle: 0, effect: world.effect() }),
        ),
      ).toBe('E_AUDIT')
      expect(world.trace).not.toContain('execute')
    }
  })

  test('EIO under the OUTCOME: the agent gets no result, nothing more happens, nothing stays reserved', async () => {
    const world = await makeWorld({ budgets: { calls: 9, bytes: 100 } })
    const effect = world.effect({
      charges: { bytes: 10 },
      execute: () => {
        world.disk.broken = 'EIO'
        return { result: ['the result'] }
      },
    })
    expect(await codeOf(world.admit(effect))).toBe('E_AUDIT')
    expect([effect.happened, effect.releases, reserved(world.budget)]).toEqual([1, 1, 0])
    const next = world.effect()
    expect(await codeOf(world.admit(next))).toBe('E_AUDIT')
    expect(next.happened).toBe(0)
  })

  test('a failure of the effect is not told either when its OUTCOME cannot be recorded', async () => {
    const world = await makeWorld()
    const effect = world.effect({
      execute: () => {
        world.disk.broken = 'EIO'
        throw new AuthorityError('E_NOT_FOUND', 'what the effect found out')
      },
    })
    const refused = (await world.admit(effect).catch((error: unknown) => error)) as AuthorityError
    expect(refused.code).toBe('E_AUDIT')
    expect(refused.message).not.toContain('found out')
  })

  test('an open handle moves nothing more', async () => {
    const world = await makeWorld()
    let spend: (bytes: number) => undefined | Promise<void> = () => undefined
    await world.admit(
      world.effect({
        charges: { bytes: 100 },
        execute: (permit) => {
          const lease = permit.lease()
          spend = (bytes) => lease.spend(bytes, 'bytes_in')
          return { result: [] }
        },
      }),
    )
    expect(spend(1)).toBeUndefined()
    world.disk.broken = 'EIO'
    await codeOf(world.admit(world.effect()))
    expect(await codeOf(Promise.resolve(spend(1)))).toBe('E_AUDIT')
  })
})
