import { expect, test } from 'vitest'
import { attenuate, lastBlockId } from './attenuate.ts'
import { MAX_LIVE_BLOCKS, MAX_VERIFIED } from './limits.ts'
import { bunMac } from './mac-bun.ts'
import { codeOf, NOW, read, testStage } from './testing/index.ts'

const validity = { notBefore: NOW, expires: NOW + 10_000 }

/** A token the gate has verified twice is remembered: nothing that can change may be remembered with it. */
function known() {
  const parts = testStage()
  const token = parts.stage.mint({ fs: { read: ['/work/**'] } }, validity)
  for (let i = 0; i < 3; i++) parts.stage.release('s', parts.stage.bind('s', token))
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

test('a token is told from every other of the same fingerprint', () => {
  const { stage } = testStage({ mac: { ...bunMac, fingerprint: () => 7 } })
  const tokens = ['a', 'b'].map((name) => stage.mint({ fs: { read: [`/${name}`] } }, validity))
  for (let i = 0; i < 4; i++)
    for (const [at, token] of tokens.entries()) {
      const handle = stage.bind('s', token)
      expect(['/a', '/b'].map((path) => stage.check('s', handle, [read(path)]).allow)).toEqual([at === 0, at === 1])
    }
})

test('blocks of the tokens handles hold are live, and no longer', () => {
  const { stage } = testStage()
  const token = (i: number): string =>
    attenuate(attenuate(stage.mint({ tools: [`t${i}`] }, validity), { closed: true }, bunMac), { delegate: 0 }, bunMac)
  let held = 0
  while (codeOf(() => stage.bind(`s${held >> 7}`, token(held))) === 'accepted') held += 1
  // The run's own block, and three of each.
  expect(held).toBe(Math.floor((MAX_LIVE_BLOCKS - 1) / 3))
  stage.endSession('s0')
  expect(codeOf(() => stage.bind('s0', token(held)))).toBe('accepted')
})

test('a block without counts takes no room after its last handle', () => {
  const { stage } = testStage()
  for (let i = 0; i < 2000; i++) stage.release('s', stage.bind('s', stage.mint({ tools: [`t${i}`] }, validity)))
  // Live blocks are the run's own, and these.
  for (let i = 0; i < MAX_LIVE_BLOCKS - 1; i++) stage.release('s', stage.bind('s', stage.mint({ tools: [`u${i}`], uses: 5 }, validity)))
  expect(codeOf(() => stage.bind('s', stage.mint({ tools: ['more'] }, validity)))).toBe('E_RATE_LIMIT')
})
