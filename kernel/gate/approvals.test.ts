import { AuthorityError } from '@authority/protocol'
import { afterEach, describe, expect, test } from 'vitest'
import { type ApprovalDesk, createApprovals, type PendingApproval } from '../approvals/index.ts'
import { AdmitPipeline } from './admit.ts'
import { TestEffect, type TestEffectOptions } from './testing/effect.ts'
import { closeWorlds, makeWorld, type World } from './testing/world.ts'
import type { AdmitRequest } from './types.ts'

afterEach(closeWorlds)

const POLICY = {
  version: '1.0',
  fs: { read: ['/work/**'], ask: { write: ['/work/**'] } },
  ask: { timeout_ms: 50 },
}

interface Asking {
  readonly world: World
  readonly desk: ApprovalDesk
  readonly shown: PendingApproval[]
  readonly expire: (() => void)[]
  admit(effect: TestEffect, request?: Partial<AdmitRequest>): Promise<string>
  effect(options?: TestEffectOptions): TestEffect
}

async function asking(onAsked: (pending: PendingApproval, desk: ApprovalDesk) => void = () => undefined): Promise<Asking> {
  const world = await makeWorld({ policy: POLICY })
  const shown: PendingApproval[] = []
  const expire: (() => void)[] = []
  const desk: ApprovalDesk = createApprovals({
    run: 'r',
    audit: world.stages.audit,
    clock: { wallMs: () => 0, monotonicMs: () => 0 },
    after: (_, call) => {
      expire.push(call)
      return () => undefined
    },
    onAsked: (pending) => {
      shown.push(pending)
      queueMicrotask(() => onAsked(pending, desk))
    },
  })
  const pipeline = new AdmitPipeline({ ...world.stages, approvals: desk })
  return {
    world,
    desk,
    shown,
    expire,
    admit: (effect, request = {}) =>
      pipeline
        .admit({
          operation: 'fs.open',
          subject: { session: 'test:1', via: 'session' },
          handle: 0,
          signal: new AbortController().signal,
          effect,
          ...request,
        })
        .then(
          () => 'ok',
          (error: unknown) => (error instanceof AuthorityError ? error.code : String(error)),
        ),
    effect: (options = {}) => new TestEffect([], { action: 'fs.write', path: '/work/out/x', ...options }),
  }
}

describe('an effect a person must approve', () => {
  test('waits, happens once approved, and every record is there', async () => {
    const { world, admit, effect, shown } = await asking((pending, desk) => void desk.decide(pending.id, 'once', 'uid 0: ann'))
    const one = effect()
    expect(await admit(one)).toBe('ok')
    expect(one.happened).toBe(1)
    expect(shown).toHaveLength(1)
    const { verdict, records } = await world.sealed()
    expect(verdict.status).toBe('intact')
    expect(
      records.flatMap((record) => (record.type === 'APPROVAL' ? [record.event] : record.type === 'INTENT' ? [record.rule] : [])),
    ).toEqual(['asked', 'once', '/fs/ask/write/0'])
  })

  test('a single approval is for one request; the next is asked about again', async () => {
    const { admit, effect, shown } = await asking(
      (pending, desk) => void desk.decide(pending.id, shown.length > 1 ? 'deny' : 'once', 'ann'),
    )
    expect([await admit(effect()), await admit(effect())]).toEqual(['ok', 'E_APPROVAL_DENIED'])
    expect(shown).toHaveLength(2)
  })

  test('an approval for the run is for every identical request, and for no other', async () => {
    const { admit, effect, shown } = await asking((pending, desk) => void desk.decide(pending.id, shown.length > 1 ? 'deny' : 'run', 'ann'))
    expect([await admit(effect()), await admit(effect())]).toEqual(['ok', 'ok'])
    const other = effect({ path: '/work/out/y' })
    expect(await admit(other)).toBe('E_APPROVAL_DENIED')
    expect(await admit(effect(), { argsBytes: new Uint8Array([1]) })).toBe('E_APPROVAL_DENIED')
    expect(other.happened).toBe(0)
  })

  test('what it turns out to be is asked about too', async () => {
    const { admit, effect, shown } = await asking(
      (pending, desk) => void desk.decide(pending.id, pending.object === '/work/secret' ? 'deny' : 'once', 'ann'),
    )
    const link = effect({ real: '/work/secret' })
    expect(await admit(link)).toBe('E_APPROVAL_DENIED')
    expect(shown.map(({ object }) => object)).toEqual(['/work/out/x', '/work/secret'])
    expect(link.happened).toBe(0)
  })

  test('is answered at once where the session chose so, and found approved when it comes again', async () => {
    const { admit, effect, desk, shown } = await asking()
    expect(await admit(effect(), { approval: 'refuse' })).toBe('E_APPROVAL_REQUIRED')
    await desk.decide(shown[0]?.id ?? '', 'once', 'ann')
    expect(await admit(effect(), { approval: 'refuse' })).toBe('ok')
    expect(await admit(effect(), { approval: 'refuse' })).toBe('E_APPROVAL_REQUIRED')
  })

  test('is denied when nobody answers, and cancelled with its request', async () => {
    const { admit, effect, expire, desk } = await asking()
    const late = admit(effect())
    await new Promise((resolve) => setImmediate(resolve))
    for (const call of expire) call()
    expect(await late).toBe('E_APPROVAL_DENIED')
    const abort = new AbortController()
    const cancelled = admit(effect(), { signal: abort.signal })
    await new Promise((resolve) => setImmediate(resolve))
    abort.abort(new AuthorityError('E_CANCELLED', 'gone'))
    expect(await cancelled).toBe('E_CANCELLED')
    expect(desk.list()).toEqual([])
  })

  test('is denied where there is nobody to ask', async () => {
    const { world, effect } = await asking()
    await expect(world.admit(effect())).rejects.toMatchObject({ code: 'E_APPROVAL_REQUIRED' })
  })

  test('what a token does not cover is never asked about', async () => {
    const { world, admit, effect, shown } = await asking()
    const handle = world.capability.bind(
      'test:1',
      world.capability.mint({ fs: { read: ['/work/**'] } }, { notBefore: 0, expires: 4102444800000 }),
    )
    expect(await admit(effect(), { handle })).toBe('E_CAP_SCOPE')
    expect(shown).toEqual([])
  })
})
