import { describe, expect, test } from 'vitest'
import { attenuate } from './attenuate.ts'
import { unhex, verifyChain } from './chain.ts'
import { deriveRunKey } from './keys.ts'
import { MAX_HANDLES, MAX_REVOKED, MAX_SESSION_HANDLES, MAX_TIME_MS } from './limits.ts'
import { bunMac } from './mac-bun.ts'
import { BlockRegistry } from './registry.ts'
import { codeOf, GRANTS, NOW, RUN, read, SECRET, testStage } from './testing/index.ts'
import { readLayout } from './token.ts'
import { BlockNames } from './verified-token.ts'

describe('the time of a token', () => {
  test('a block cannot let it begin sooner, or end later, than a block before it says', () => {
    const { stage, clock } = testStage()
    const narrow = attenuate(stage.runToken, { notBefore: NOW + 100, expires: NOW + 200 })
    const wide = attenuate(narrow, { notBefore: NOW, expires: NOW + 10_000 })
    clock.pass(50)
    expect(codeOf(() => stage.bind('s', wide))).toBe('E_CAP_EXPIRED')
    clock.pass(100)
    const handle = stage.bind('s', wide)
    expect(stage.check('s', handle, [read('/work/a')]).allow).toBe(true)
    clock.pass(50)
    expect(stage.check('s', handle, [read('/work/a')])).toMatchObject({ allow: false, code: 'E_CAP_EXPIRED' })
  })

  test('is a whole number of ms that the format can hold, and its end is after its beginning', () => {
    const { stage } = testStage()
    const mint = (notBefore: number, expires: number): string => codeOf(() => stage.mint(GRANTS, { notBefore, expires }))
    expect(mint(NOW, NOW + 1)).toBe('accepted')
    expect([
      mint(NOW, NOW),
      mint(NOW + 1, NOW),
      mint(NOW + 0.5, NOW + 9),
      mint(-1, NOW),
      mint(NOW, MAX_TIME_MS + 1),
      mint(Number.NaN, NOW),
    ]).toEqual(new Array(6).fill('E_CAP_INVALID'))
  })
})

test('a run’s own token of before its policy changed grants nothing of the policy of now', () => {
  const { runToken } = testStage().stage
  const { stage } = testStage({ grants: { fs: { read: ['/**'], write: ['/**'] } } })
  expect(codeOf(() => stage.bind('s', runToken))).toBe('E_CAP_INVALID')
  expect(codeOf(() => testStage().stage.bind('s', runToken))).toBe('accepted')
})

describe('what a run holds is bounded', () => {
  test('all its sessions together have so many handles, and those of a session that ended are free again', () => {
    const { stage } = testStage()
    const sessions = MAX_HANDLES / MAX_SESSION_HANDLES
    for (let session = 0; session < sessions; session++)
      for (let i = 0; i < MAX_SESSION_HANDLES; i++) stage.bind(`s${session}`, stage.runToken)
    expect(codeOf(() => stage.bind('one more', stage.runToken))).toBe('E_RATE_LIMIT')
    stage.endSession('s0')
    for (let i = 0; i < MAX_SESSION_HANDLES; i++) stage.bind('one more', stage.runToken)
    expect(codeOf(() => stage.bind('another', stage.runToken))).toBe('E_RATE_LIMIT')
  })

  test('revocations have a bound too, and one that is there may be said again', () => {
    const registry = new BlockRegistry()
    for (let i = 0; i < MAX_REVOKED; i++) registry.revoke(String(i))
    expect(codeOf(() => registry.revoke('one more'))).toBe('E_RATE_LIMIT')
    expect(codeOf(() => registry.revoke('7'))).toBe('accepted')
  })
})

test('chain values, by which a block can be extended, are gone once their names are made', () => {
  const { stage } = testStage()
  const run = unhex(RUN, 16) as Uint8Array
  const chain = verifyChain(bunMac, deriveRunKey(SECRET.slice(), 'test-installation', run), readLayout(stage.runToken))
  if (chain === null) throw new Error('the token is not genuine')
  expect(chain.values.some((word) => word !== 0)).toBe(true)
  expect(new BlockNames(bunMac, chain).blocks).toHaveLength(1)
  expect(chain.values.every((word) => word === 0)).toBe(true)
})
