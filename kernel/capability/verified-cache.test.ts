import { expect, test } from 'vitest'
import { attenuate, lastBlockId } from './attenuate.ts'
import { MAX_IDLE_BLOCKS, MAX_LIVE_BLOCKS, MAX_VERIFIED } from './limits.ts'
import { bunMac } from './mac-bun.ts'
import { codeOf, NOW, read, testStage } from './testing/index.ts'

const validity = { notBefore: NOW, expires: NOW + 10_000 }

/** A token the gate has verified once is remembered: nothing that can change may be remembered with it. */
function known() {
  const parts = testStage()
  const token = parts.stage.mint({ fs: { read: ['/work/**'] } }, validity)
  parts.stage.release('s', parts.stage.bind('s', token))
  return { ...parts, token }
}

test('a known token is refused once it is revoked, expired, or its run is over', () => {
  const revoked = known()
  revoked.stage.revoke(lastBlockId(revoked.token, bunMac))
  expect(codeOf(() => revoked.stage.bind('s', revoked.token))).toBe('E_CAP_REVOKED')
  const expired = known()
  expired.clock.pass(10_000)
  expect(codeOf(() => expired.stage.bind('s', expired.token))).toBe('E_CAP_EXPIRED')
  const ended = known()
  ended.stage.end()
  expect(codeOf(() => ended.stage.bind('s', ended.token))).toBe('E_CAP_REVOKED')
})

test('a known token narrowed to less is not the known token', () => {
  const { stage, token } = known()
  const child = attenuate(token, { fs: { read: [] } }, bunMac)
  expect(stage.check('s', stage.bind('s', child), [read('/work/a')])).toMatchObject({ allow: false, code: 'E_CAP_SCOPE' })
  for (let at = 5; at < token.length; at += 7) {
    const flipped = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`
    expect(codeOf(() => stage.bind('s', flipped))).not.toBe('accepted')
  }
})

test('counts go on where they stood, though the token is forgotten in between', () => {
  const { stage } = testStage()
  const once = stage.mint({ fs: { read: ['/work/**'] }, uses: 1 }, validity)
  expect(stage.check('s', stage.bind('s', once), [read('/work/a')]).allow).toBe(true)
  stage.endSession('s')
  for (let i = 0; i <= MAX_VERIFIED; i++) stage.release('s', stage.bind('s', stage.mint({ tools: [`t${i}`] }, validity)))
  expect(stage.check('s', stage.bind('s', once), [read('/work/a')])).toMatchObject({ allow: false, code: 'E_CAP_RATE' })
})

test('a block without counts is kept a while after its last handle, and makes room for others', () => {
  const { stage } = testStage()
  for (let i = 0; i < MAX_IDLE_BLOCKS + 10; i++) stage.release('s', stage.bind('s', stage.mint({ tools: [`t${i}`] }, validity)))
  // Live blocks are bounded by the counting ones alone: the run's own, and these.
  for (let i = 0; i < MAX_LIVE_BLOCKS - 1; i++) stage.release('s', stage.bind('s', stage.mint({ tools: [`u${i}`], uses: 5 }, validity)))
  expect(codeOf(() => stage.bind('s', stage.mint({ tools: ['more'] }, validity)))).toBe('E_RATE_LIMIT')
})
