import { afterEach, describe, expect, test } from 'vitest'
import { lastBlockId } from '../capability/index.ts'
import type { ByteLease } from '../effects/contract.ts'
import { LEASE_STEP_BYTES } from './limits.ts'
import { captured, closeWorlds, codeOf, makeWorld, reserved, settle, type World, type WorldOptions } from './testing/world.ts'

afterEach(closeWorlds)

const FOREVER = { notBefore: 0, expires: 253402300799999 }

/** A world with one open lease. */
async function leased(bytes: number, options: WorldOptions = {}, handle = 0): Promise<{ world: World; lease: ByteLease }> {
  const world = await makeWorld(options)
  return { world, lease: await openLease(world, bytes, handle) }
}

async function openLease(world: World, bytes: number, handle = 0): Promise<ByteLease> {
  let lease: ByteLease | null = null
  const admitted = world.admit(
    world.effect({
      charges: { bytes },
      execute: (permit) => {
        lease = permit.lease()
        return { result: [] }
      },
    }),
    { handle },
  )
  while (world.waiting > 0 || (await Promise.race([admitted.then(() => false), settle(1).then(() => true)]))) world.flush()
  await admitted
  if (lease === null) throw new Error('no lease')
  return lease
}

const spent = (lease: ByteLease, bytes: number): Promise<string> => codeOf(Promise.resolve(lease.spend(bytes, 'bytes_in')))

describe('spending', () => {
  test('within the lease costs nothing, beyond it a durable record comes first', async () => {
    const { world, lease } = await leased(10, { hold: true })
    expect(lease.spend(10, 'bytes_in')).toBeUndefined()
    let allowed = false
    const more = Promise.resolve(lease.spend(1, 'bytes_in')).then(() => {
      allowed = true
    })
    await settle()
    expect(world.appended.at(-1)).toEqual({
      type: 'LEASE',
      intent: expect.any(Number),
      reserve: { bytes: LEASE_STEP_BYTES, bytes_in: LEASE_STEP_BYTES },
    })
    expect(allowed).toBe(false)
    world.flush()
    await more
    expect(allowed).toBe(true)
  })

  test('what it renewed before its OUTCOME, in a dimension its INTENT had nothing of, is its own in the log too', async () => {
    const world = await makeWorld()
    let close: Promise<void> | undefined
    await world.admit(
      world.effect({
        charges: { bytes: 10 },
        execute: async (permit) => {
          const lease = permit.lease()
          await lease.spend(7, 'bytes_out')
          setImmediate(() => {
            close = lease.close({})
          })
          return { result: [] }
        },
      }),
    )
    await settle()
    await close
    expect(world.appended.map(({ type }) => type)).toEqual(expect.arrayContaining(['LEASE', 'OUTCOME', 'CLOSE']))
    expect((await world.sealed()).verdict.findings).toEqual([])
  })

  test('closed before its OUTCOME with nothing moved, all of it is another’s from its CLOSE on', async () => {
    const world = await makeWorld({ budgets: { bytes_out: 100 } })
    const charges = { bytes: 10, bytes_out: 100 }
    await world.admit(
      world.effect({
        charges,
        execute: async (permit) => {
          await permit.lease().close({})
          await world.admit(world.effect({ charges }))
          return { result: [] }
        },
      }),
    )
    expect((await world.sealed()).verdict.findings).toEqual([])
  })

  test('each way has a budget of its own beside the total, and none lends to another', async () => {
    const { world, lease } = await leased(0, { budgets: { bytes: 100, bytes_in: 10, bytes_out: 20 } })
    await lease.spend(10, 'bytes_in')
    expect(await spent(lease, 1)).toBe('E_BUDGET_EXCEEDED')
    await lease.spend(20, 'bytes_out')
    expect(await codeOf(Promise.resolve(lease.spend(1, 'bytes_out')))).toBe('E_BUDGET_EXCEEDED')
    await lease.spend(70, 'bytes_written')
    expect(await codeOf(Promise.resolve(lease.spend(1, 'bytes_written')))).toBe('E_BUDGET_EXCEEDED')
    const denials = world.appended.flatMap((record) => (record.type === 'DENY' ? [record.rule] : []))
    expect(denials).toEqual(['budget:run/bytes_in', 'budget:run/bytes_out', 'budget:run/bytes'])
    await lease.close({})
    expect(world.appended.at(-1)).toMatchObject({ type: 'CLOSE', captured: { bytes: 100, bytes_in: 10, bytes_out: 20, bytes_written: 70 } })
  })

  test('renewals double, so that a long stream costs few records', async () => {
    const { world, lease } = await leased(0)
    for (let i = 0; i < 64; i++) await lease.spend(1 << 20, 'bytes_in')
    const renewals = world.appended.flatMap((record) => (record.type === 'LEASE' ? [record.reserve.bytes ?? 0] : []))
    expect(renewals.map((bytes) => bytes >> 20)).toEqual([1, 2, 4, 8, 16, 32, 64])
  })

  test('what is left of a budget is used to its last byte, and not one more; the refusal is on record', async () => {
    const { world, lease } = await leased(60, { budgets: { bytes: 100 } })
    expect(await spent(lease, 60)).toBe('done')
    expect(await spent(lease, 41)).toBe('E_BUDGET_EXCEEDED')
    expect(await spent(lease, 40)).toBe('done')
    expect(await spent(lease, 1)).toBe('E_BUDGET_EXCEEDED')
    expect(world.appended.some((record) => record.type === 'DENY' && record.code === 'E_BUDGET_EXCEEDED')).toBe(true)
    await lease.close({})
    expect([captured(world.budget, 'bytes'), reserved(world.budget)]).toEqual([100, 0])
    const { verdict } = await world.sealed()
    expect([verdict.status, verdict.findings]).toEqual(['intact', []])
  })

  test('no number, a negative one, a fraction: refused, and the lease is what it was', async () => {
    const { lease } = await leased(10)
    for (const bytes of [Number.NaN, -1, 0.5, Number.POSITIVE_INFINITY, 2 ** 53]) expect(await spent(lease, bytes)).not.toBe('done')
    expect(await spent(lease, 10)).toBe('done')
  })

  test('concurrent spenders share what is left: no byte twice', async () => {
    const { world, lease } = await leased(0, { budgets: { bytes: 1000 } })
    const results = await Promise.all(Array.from({ length: 300 }, () => spent(lease, 10)))
    expect(results.filter((code) => code === 'done').length).toBe(100)
    await lease.close({})
    expect(captured(world.budget, 'bytes')).toBe(1000)
  })

  test('concurrent leases share one budget: no byte twice', async () => {
    const world = await makeWorld({ budgets: { bytes: 1000 } })
    const leases = await Promise.all(Array.from({ length: 10 }, () => openLease(world, 0)))
    const results = await Promise.all(leases.flatMap((lease) => Array.from({ length: 20 }, () => spent(lease, 10))))
    expect(results.filter((code) => code === 'done').length).toBeLessThanOrEqual(100)
    await Promise.all(leases.map((lease) => lease.close({})))
    expect(captured(world.budget, 'bytes')).toBe(results.filter((code) => code === 'done').length * 10)
    expect(reserved(world.budget)).toBe(0)
  })
})

describe('what was taken away', () => {
  const revoked = async (token = '') => {
    const world = await makeWorld({ budgets: { bytes: 100 } })
    const own = token === '' ? world.capability.mint({ fs: { read: ['/work/**'] } }, FOREVER) : token
    const lease = await openLease(world, 100, world.capability.bind('test:1', own))
    const other = await openLease(world, 0)
    return { world, lease, other, revoke: () => world.capability.revoke(lastBlockId(own)) }
  }

  test('is ended without its next byte, and the CLOSE says why', async () => {
    const { world, lease, other, revoke } = await revoked()
    await lease.spend(7, 'bytes_in')
    const told: string[] = []
    lease.onWithdrawn((error) => {
      told.push(error.code)
      void lease.close({ a: 1 })
    })
    other.onWithdrawn(() => told.push('other'))
    await world.pipeline.endWithdrawn()
    expect(told).toEqual([])
    revoke()
    await world.pipeline.endWithdrawn()
    await world.pipeline.endWithdrawn()
    expect(told).toEqual(['E_CAP_REVOKED'])
    expect(world.appended.filter(({ type }) => type === 'CLOSE')).toEqual([
      { type: 'CLOSE', intent: expect.any(Number), captured: { bytes: 7, bytes_in: 7 }, detail: { a: 1, reason: 'E_CAP_REVOKED' } },
    ])
    expect(world.pipeline.statistics.openLeases).toBe(1)
    expect(await spent(lease, 1)).toBe('E_CAP_REVOKED')
    expect(await spent(other, 0)).toBe('done')
  })

  test('before its owner listened is told to it when it does', async () => {
    const { world, lease, revoke } = await revoked()
    revoke()
    const ending = world.pipeline.endWithdrawn()
    const told: string[] = []
    lease.onWithdrawn((error) => {
      told.push(error.code)
      void lease.close({})
    })
    await ending
    expect(told).toEqual(['E_CAP_REVOKED'])
  })

  test('while the effect was under way is not handed on', async () => {
    const { world, lease, revoke } = await revoked()
    await lease.close({})
    const token = world.capability.mint({ fs: { read: ['/work/**'] } }, FOREVER)
    const handle = world.capability.bind('test:1', token)
    const effect = world.effect({
      execute: async (permit) => {
        await settle()
        world.capability.revoke(lastBlockId(token))
        permit.lease()
        return { result: [] }
      },
    })
    expect(await codeOf(world.admit(effect, { handle }))).toBe('E_CAP_REVOKED')
    revoke()
  })
})

describe('closing', () => {
  test('records what moved, frees the rest, once', async () => {
    const { world, lease } = await leased(100, { budgets: { bytes: 100 } })
    await lease.spend(7, 'bytes_in')
    await Promise.all([lease.close({ a: 1 }), lease.close({ a: 2 })])
    await lease.close({ a: 3 })
    const closes = world.appended.filter((record) => record.type === 'CLOSE')
    expect(closes).toEqual([{ type: 'CLOSE', intent: expect.any(Number), captured: { bytes: 7, bytes_in: 7 }, detail: { a: 1 } }])
    expect([captured(world.budget, 'bytes'), reserved(world.budget), world.pipeline.statistics.openLeases]).toEqual([7, 0, 0])
  })

  test('nothing moves after it', async () => {
    const { lease } = await leased(100)
    const closed = lease.close({})
    expect(await spent(lease, 1)).toBe('E_CANCELLED')
    await closed
    expect(await spent(lease, 1)).toBe('E_CANCELLED')
  })

  test('a renewal under way when it closes moves nothing and is not charged', async () => {
    const { world, lease } = await leased(0, { hold: true, budgets: { bytes: 5000 } })
    const renewal = spent(lease, 10)
    await settle()
    const closed = lease.close({})
    world.flush()
    await settle()
    world.flush()
    expect(await renewal).toBe('E_CANCELLED')
    await closed
    expect([captured(world.budget, 'bytes'), reserved(world.budget)]).toEqual([0, 0])
  })

  test('a log that cannot be written: refused, and nothing stays reserved', async () => {
    const { world, lease } = await leased(100, { budgets: { bytes: 100 } })
    await lease.spend(7, 'bytes_in')
    world.disk.broken = 'EIO'
    expect(await codeOf(lease.close({}))).toBe('E_AUDIT')
    expect([captured(world.budget, 'bytes'), reserved(world.budget), world.pipeline.statistics.openLeases]).toEqual([7, 0, 0])
  })

  test('a lease is taken once', async () => {
    const world = await makeWorld()
    let second = ''
    await world.admit(
      world.effect({
        execute: async (permit) => {
          permit.lease()
          second = await codeOf(() => permit.lease())
          return { result: [] }
        },
      }),
    )
    expect(second).toBe('E_CANCELLED')
  })
})

describe('what was opened under a token', () => {
  test('moves nothing once a block of it is revoked, also when the handle was given up before', async () => {
    for (const release of [false, true]) {
      const world = await makeWorld()
      const token = world.capability.mint({ fs: { read: ['/work/**'] } }, FOREVER)
      const handle = world.capability.bind('test:1', token)
      const lease = await openLease(world, 100, handle)
      expect(await spent(lease, 1)).toBe('done')
      if (release) world.capability.release('test:1', handle)
      expect(await spent(lease, 1)).toBe('done')
      world.capability.revoke(lastBlockId(token))
      expect(await spent(lease, 1)).toBe('E_CAP_REVOKED')
      await lease.close({})
      expect([captured(world.budget, 'bytes'), reserved(world.budget)]).toEqual([2, 0])
    }
  })

  test('moves nothing after the token’s time', async () => {
    let now = 1_767_225_600_000
    const clock = { wallMs: () => now, monotonicMs: () => now - 1_767_225_000_000 }
    const world = await makeWorld({ clock })
    const handle = world.capability.bind(
      'test:1',
      world.capability.mint({ fs: { read: ['/work/**'] } }, { notBefore: 0, expires: now + 1000 }),
    )
    const lease = await openLease(world, 100, handle)
    expect(await spent(lease, 1)).toBe('done')
    now += 1000
    expect(await spent(lease, 1)).toBe('E_CAP_EXPIRED')
  })

  test('a revocation during a renewal holds', async () => {
    const world = await makeWorld({ hold: true })
    const token = world.capability.mint({ fs: { read: ['/work/**'] } }, FOREVER)
    const lease = await openLease(world, 0, world.capability.bind('test:1', token))
    const renewal = spent(lease, 1)
    await settle()
    world.capability.revoke(lastBlockId(token))
    world.flush()
    expect(await renewal).toBe('E_CAP_REVOKED')
  })
})
