import { AuthorityError } from '@authority/protocol'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { EffectResult, ResolvedObject } from '../effects/contract.ts'
import { ABORT_GRACE_MS } from './limits.ts'
import { captured, closeWorlds, codeOf, makeWorld, reserved, settle } from './testing/world.ts'

afterEach(() => {
  vi.useRealTimers()
  closeWorlds()
})

const CANCELLED = new AuthorityError('E_CANCELLED', 'the client cancelled the request')
const TIMED_OUT = new AuthorityError('E_TIMEOUT', 'the deadline passed')

function promise<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined
  const made = new Promise<T>((done) => {
    resolve = done
  })
  return { promise: made, resolve }
}

describe.each([CANCELLED, TIMED_OUT])('$code at each step', (reason) => {
  test('before it begins', async () => {
    const world = await makeWorld()
    const effect = world.effect()
    expect(await codeOf(world.admit(effect, { signal: AbortSignal.abort(reason) }))).toBe(reason.code)
    expect([effect.happened, effect.releases, reserved(world.budget)]).toEqual([0, 1, 0])
  })

  test('while its object is looked for', async () => {
    const world = await makeWorld()
    const control = new AbortController()
    const found = promise<ResolvedObject>()
    const effect = world.effect({ resolve: () => found.promise })
    const admitted = codeOf(world.admit(effect, { signal: control.signal }))
    await settle()
    control.abort(reason)
    found.resolve({ questions: [], object: '/work/a' })
    expect(await admitted).toBe(reason.code)
    expect([effect.happened, effect.releases, reserved(world.budget)]).toEqual([0, 1, 0])
  })

  test('while its INTENT is written', async () => {
    const world = await makeWorld({ hold: true })
    const control = new AbortController()
    const effect = world.effect()
    const admitted = codeOf(world.admit(effect, { signal: control.signal }))
    await settle()
    control.abort(reason)
    world.flush()
    await settle()
    world.flush()
    expect(await admitted).toBe(reason.code)
    expect([effect.happened, reserved(world.budget), captured(world.budget, 'calls')]).toEqual([0, 0, 0])
    expect(world.appended.at(-1)).toMatchObject({ type: 'OUTCOME', status: 'void', code: reason.code })
  })

  test('while it runs, heard: charged in full, its outcome unknown', async () => {
    const world = await makeWorld({ budgets: { calls: 2 } })
    const control = new AbortController()
    const effect = world.effect({
      execute: ({ signal }) =>
        new Promise<EffectResult>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true })),
    })
    const admitted = codeOf(world.admit(effect, { signal: control.signal }))
    await vi.waitFor(() => expect(effect.happened).toBe(1))
    control.abort(reason)
    expect(await admitted).toBe(reason.code)
    expect([reserved(world.budget), captured(world.budget, 'calls')]).toEqual([0, 1])
    expect(world.appended.at(-1)).toMatchObject({ type: 'OUTCOME', status: 'unknown', code: reason.code, captured: { calls: 1 } })
  })

  test('while its OUTCOME is written: it was faster, and its result comes', async () => {
    const world = await makeWorld({ hold: true })
    const control = new AbortController()
    const effect = world.effect({ execute: () => ({ result: [7] }) })
    const admitted = world.admit(effect, { signal: control.signal })
    await settle()
    world.flush()
    await settle()
    expect(world.trace).toContain('OUTCOME')
    control.abort(reason)
    world.flush()
    expect((await admitted).result).toEqual([7])
  })
})

describe('an effect that ignores its signal', () => {
  test.each([
    ['bytes reserved', { bytes: 40 }],
    ['none', {}],
  ])(
    'is left behind after its grace; what it does later moves no bytes, with %s, and it is let go of only when it is over',
    async (_, charges) => {
      const world = await makeWorld({ budgets: { calls: 2, bytes: 100 } })
      const control = new AbortController()
      const late = promise<void>()
      let lateLease = ''
      const effect = world.effect({
        charges,
        execute: async (permit) => {
          await late.promise
          lateLease = await codeOf(() => permit.lease())
          return { result: [] }
        },
      })
      const admitted = codeOf(world.admit(effect, { signal: control.signal }))
      await vi.waitFor(() => expect(effect.happened).toBe(1))
      vi.useFakeTimers({ toFake: ['setTimeout'] })
      control.abort(TIMED_OUT)
      vi.advanceTimersByTime(ABORT_GRACE_MS)
      vi.useRealTimers()
      expect(await admitted).toBe('E_TIMEOUT')
      expect(world.appended.at(-1)).toMatchObject({ type: 'OUTCOME', status: 'unknown', captured: { calls: 1 } })
      expect([reserved(world.budget), captured(world.budget, 'calls'), captured(world.budget, 'bytes')]).toEqual([0, 1, 0])
      // What it holds (a descriptor) must not become another file's under its hands.
      expect(effect.releases).toBe(0)
      late.resolve()
      await settle()
      expect([effect.releases, effect.releasedWhileRunning, lateLease]).toEqual([1, false, 'E_CANCELLED'])
    },
  )

  test('a lease it took before is closed when it is left behind', async () => {
    const world = await makeWorld({ budgets: { bytes: 100 } })
    const control = new AbortController()
    let spend: () => undefined | Promise<void> = () => undefined
    const effect = world.effect({
      charges: { bytes: 40 },
      execute: (permit) => {
        const lease = permit.lease()
        spend = () => lease.spend(5, 'bytes_in')
        expect(spend()).toBeUndefined()
        return new Promise(() => undefined)
      },
    })
    const admitted = codeOf(world.admit(effect, { signal: control.signal }))
    await vi.waitFor(() => expect(effect.happened).toBe(1))
    vi.useFakeTimers({ toFake: ['setTimeout'] })
    control.abort(CANCELLED)
    vi.advanceTimersByTime(ABORT_GRACE_MS)
    vi.useRealTimers()
    expect(await admitted).toBe('E_CANCELLED')
    expect(await codeOf(Promise.resolve(spend()))).toBe('E_CANCELLED')
    expect([reserved(world.budget), captured(world.budget, 'bytes'), world.pipeline.statistics.openLeases]).toEqual([0, 5, 0])
    const { verdict } = await world.sealed()
    expect([verdict.status, verdict.findings]).toEqual(['intact', []])
  })
})

describe('an effect that fails', () => {
  test('after it took its lease: nothing stays open, the log says what moved', async () => {
    const world = await makeWorld({ budgets: { bytes: 100, calls: 5 } })
    const effect = world.effect({
      charges: { bytes: 40 },
      execute: (permit) => {
        permit.lease().spend(3, 'bytes_in')
        throw new AuthorityError('E_RATE_LIMIT', 'no room for its handle')
      },
    })
    expect(await codeOf(world.admit(effect))).toBe('E_RATE_LIMIT')
    expect([reserved(world.budget), captured(world.budget, 'bytes'), world.pipeline.statistics.openLeases]).toEqual([0, 3, 0])
    const { verdict, records } = await world.sealed()
    expect([verdict.status, verdict.findings]).toEqual(['intact', []])
    expect(records.some((record) => record.type === 'CLOSE' && record.captured.bytes === 3)).toBe(true)
  })

  test('by a fault of ours: the agent learns nothing of it, the charge is full', async () => {
    const world = await makeWorld({ budgets: { calls: 5 } })
    const refused = await world
      .admit(
        world.effect({
          execute: () => {
            throw new TypeError('undefined is not an object: internal detail')
          },
        }),
      )
      .catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'E_INTERNAL', message: 'fs.open failed inside the gate' })
    expect([reserved(world.budget), captured(world.budget, 'calls')]).toEqual([0, 1])
    expect(world.appended.at(-1)).toMatchObject({ type: 'OUTCOME', status: 'unknown' })
  })

  test('by claiming to have used what is no number', async () => {
    const world = await makeWorld({ budgets: { calls: 5, tokens: 10 } })
    const effect = world.effect({ charges: { tokens: 4 }, execute: () => ({ result: [], captured: { tokens: Number.NaN } }) })
    expect(await codeOf(world.admit(effect))).toBe('E_INTERNAL')
    expect([reserved(world.budget), captured(world.budget, 'tokens')]).toEqual([0, 4])
  })

  test('by using more than it reserved: captured in full, marked, and nothing more is admitted', async () => {
    const world = await makeWorld({ budgets: { tokens: 10 } })
    const effect = world.effect({ charges: { tokens: 4 }, execute: () => ({ result: [], captured: { tokens: 40 } }) })
    expect(await codeOf(world.admit(effect))).toBe('done')
    expect(world.appended.at(-1)).toMatchObject({ type: 'OUTCOME', overrun: true, captured: { tokens: 40 } })
    expect(await codeOf(world.admit(world.effect()))).toBe('E_BUDGET_EXCEEDED')
  })
})
