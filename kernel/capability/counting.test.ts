import { describe, expect, test } from 'vitest'
import { attenuate } from './attenuate.ts'
import { MAX_LIVE_BLOCKS, MAX_SESSION_HANDLES } from './limits.ts'
import { bunMac } from './mac-bun.ts'
import { codeOf, NOW, read, testStage } from './testing/index.ts'
import type { CapabilityVerdict } from './types.ts'

const codeIn = (verdict: CapabilityVerdict): string => (verdict.allow ? 'allowed' : verdict.code)
const blocksIn = (verdict: CapabilityVerdict): readonly string[] => {
  if (!verdict.allow) throw new Error(verdict.reason)
  return verdict.blocks
}

describe('uses and rates', () => {
  test('uses are charged to every ancestor: children bring nothing back', () => {
    const { stage } = testStage()
    const parent = attenuate(stage.runToken, { uses: 50 })
    let happened = 0
    for (let i = 0; i < 200; i++) {
      const handle = stage.bind('s', attenuate(parent, { uses: 1, expires: NOW + 10_000 + i }))
      if (stage.check('s', handle, [read('/work/a')]).allow) happened += 1
      stage.release('s', handle)
    }
    expect(happened).toBe(50)
  })

  test('binding again does not reset a count', () => {
    const { stage } = testStage()
    const token = attenuate(stage.runToken, { uses: 2 })
    const codes = Array.from({ length: 4 }, () => {
      const handle = stage.bind('s', token)
      const code = codeIn(stage.check('s', handle, [read('/work/a')]))
      stage.release('s', handle)
      return code
    })
    expect(codes).toEqual(['allowed', 'allowed', 'E_CAP_RATE', 'E_CAP_RATE'])
  })

  test('one effect counts once, however many questions follow; a refusal counts nothing', () => {
    const { stage } = testStage()
    const handle = stage.bind('s', attenuate(stage.runToken, { uses: 1 }))
    expect(codeIn(stage.check('s', handle, [read('/etc/passwd')]))).toBe('E_CAP_SCOPE')
    expect(stage.check('s', handle, [read('/work/a'), read('/work/b')]).allow).toBe(true)
    expect(stage.check('s', handle, [read('/work/c')], true).allow).toBe(true)
    expect(codeIn(stage.check('s', handle, [read('/work/c')]))).toBe('E_CAP_RATE')
  })

  test('when one block is used up no other is charged', () => {
    const { stage } = testStage()
    const parent = attenuate(stage.runToken, { uses: 2 })
    const child = stage.bind('s', attenuate(parent, { uses: 1 }))
    for (let i = 0; i < 5; i++) stage.check('s', child, [read('/work/a')])
    const warm = stage.bind('s', parent)
    expect(stage.check('s', warm, [read('/work/a')]).allow).toBe(true)
    expect(stage.check('s', warm, [read('/work/a')]).allow).toBe(false)
  })

  test('a rate lets its burst through, then its pace, whatever the wall clock does', () => {
    const { stage, clock } = testStage()
    const handle = stage.bind('s', attenuate(stage.runToken, { rate: { count: 10, periodMs: 1000, burst: 3 } }))
    const tries = (): number =>
      Array.from({ length: 10 }, () => stage.check('s', handle, [read('/work/a')])).filter((verdict) => verdict.allow).length
    expect(tries()).toBe(3)
    clock.setWall(NOW + 86_400_000)
    expect(tries()).toBe(0)
    clock.pass(99)
    expect(tries()).toBe(0)
    clock.pass(1)
    expect(tries()).toBe(1)
    clock.pass(250)
    expect(tries()).toBe(2)
    clock.pass(86_400_000)
    expect(tries()).toBe(3)
  })

  test('a rate is charged to every ancestor: splitting into children evades nothing', () => {
    const { stage } = testStage()
    const parent = attenuate(stage.runToken, { rate: { count: 1, periodMs: 1000, burst: 5 } })
    const happened = Array.from({ length: 100 }, (_, i) => stage.bind('s', attenuate(parent, { uses: 1000 + i }))).filter(
      (handle) => stage.check('s', handle, [read('/work/a')]).allow,
    )
    expect(happened).toHaveLength(5)
  })

  describe('finding out what a token does not allow', () => {
    const rate = { count: 10, periodMs: 1000, burst: 3 }
    const codes = (check: () => { readonly allow: boolean; readonly code?: string }, times: number): string[] =>
      Array.from({ length: times }, () => check().code ?? 'allowed')

    test('has the pace of its rate, and takes no use', () => {
      const { stage, clock } = testStage()
      const handle = stage.bind('s', attenuate(stage.runToken, { fs: { read: ['/work/**'] }, uses: 3, rate }))
      const guess = () => stage.check('s', handle, [read('/etc/passwd')])
      expect(codes(guess, 5)).toEqual(['E_CAP_SCOPE', 'E_CAP_SCOPE', 'E_CAP_SCOPE', 'E_CAP_RATE', 'E_CAP_RATE'])
      expect(codes(() => stage.check('s', handle, [read('/work/a')]), 4)).toEqual(['allowed', 'allowed', 'allowed', 'E_CAP_RATE'])
      clock.pass(100)
      expect(codes(guess, 2)).toEqual(['E_CAP_SCOPE', 'E_CAP_RATE'])
    })

    test('goes no quicker by its children, new handles or sessions', () => {
      const { stage } = testStage()
      const parent = attenuate(stage.runToken, { fs: { read: ['/work/**'] }, rate })
      const guesses = Array.from({ length: 20 }, (_, i) => stage.bind(`s${i % 5}`, attenuate(parent, { uses: 1000 + i }))).map(
        (handle, i) => stage.check(`s${i % 5}`, handle, [read('/etc/passwd')]),
      )
      expect(guesses.filter((verdict) => !verdict.allow && verdict.code === 'E_CAP_SCOPE')).toHaveLength(3)
      expect(guesses.filter(({ allow }) => allow)).toEqual([])
    })

    test('is not slowed where no block has a rate', () => {
      const { stage } = testStage()
      const handle = stage.bind('s', attenuate(stage.runToken, { fs: { read: ['/work/**'] }, uses: 3 }))
      expect(new Set(codes(() => stage.check('s', handle, [read('/etc/passwd')]), 1000))).toEqual(new Set(['E_CAP_SCOPE']))
    })
  })

  test('a block’s budget is declared before its first use, once', () => {
    const calls: string[] = []
    const { stage } = testStage({ declareBudget: (account, limits) => calls.push(`${account} ${JSON.stringify(limits)}`) })
    const token = attenuate(stage.runToken, { budget: { calls: 3, cost_nano_usd: 7 } })
    const handle = stage.bind('s', token)
    stage.bind('s', attenuate(token, { uses: 1 }))
    const [, id] = blocksIn(stage.check('s', handle, [read('/work/a')]))
    expect(calls).toEqual([`block:${id} {"calls":3,"cost_nano_usd":7}`])
  })
})

describe('bounded', () => {
  test('handles of one session', () => {
    const { stage } = testStage()
    for (let i = 0; i < MAX_SESSION_HANDLES; i++) stage.bind('s', stage.runToken)
    expect(codeOf(() => stage.bind('s', stage.runToken))).toBe('E_RATE_LIMIT')
    expect(stage.check('s', 0, [read('/work/a')]).allow).toBe(true)
    stage.endSession('s')
    expect(codeOf(() => stage.bind('s', stage.runToken))).toBe('accepted')
  })

  test('10,000 block ids; those that count nothing or are over make room, those that count stay', () => {
    const { stage, clock } = testStage()
    const bindOnce = (restriction: Parameters<typeof attenuate>[1]): string =>
      codeOf(() => stage.release('s', stage.bind('s', attenuate(stage.runToken, restriction, bunMac))))
    for (let i = 0; i < 300; i++) expect(bindOnce({ expires: NOW + 1_000_000 + i })).toBe('accepted')
    for (let i = 1; i < MAX_LIVE_BLOCKS; i++) bindOnce({ uses: i, expires: NOW + 1000 })
    expect(bindOnce({ uses: 20_000 })).toBe('E_RATE_LIMIT')
    expect(stage.check('s', 0, [read('/work/a')]).allow).toBe(true)
    clock.pass(1000)
    expect(bindOnce({ uses: 20_000 })).toBe('accepted')
  })
})
