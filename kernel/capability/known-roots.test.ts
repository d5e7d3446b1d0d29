import { expect, test } from 'vitest'
import { attenuate, lastBlockId } from './attenuate.ts'
import { encodeBlock } from './blocks.ts'
import { nextChainValue } from './chain.ts'
import type { Mac } from './mac.ts'
import { bunMac } from './mac-bun.ts'
import { sectionsOf } from './sections.ts'
import { codeOf, NOW, read, SECRET, testStage } from './testing/index.ts'
import { KEY_ID_AT, NONCE_AT, parseToken, RUN_AT, serialiseToken } from './token.ts'

const validity = { notBefore: NOW, expires: NOW + 10_000 }
const only = (path: string) => ({ fs: { read: [path] } })

/** A root whose chain value the gate remembers: two children of it were genuine. */
function known(options: Parameters<typeof testStage>[0] = {}) {
  const parts = testStage(options)
  const root = parts.stage.mint(only('/work/**'), validity)
  const child = (name: string): string => attenuate(root, only(`/work/${name}/**`), bunMac)
  for (const name of ['one', 'two', 'three']) parts.stage.release('s', parts.stage.bind('s', child(name)))
  return { ...parts, root, child }
}

function countingMac() {
  const done = { macs: 0 }
  const next: Mac['chain']['next'] = (...step) => {
    done.macs += 1
    bunMac.chain.next(...step)
  }
  return { done, mac: { ...bunMac, chain: { ...bunMac.chain, next } } }
}

test('a new child of a known root is MACed from the root on, and asked as any other', () => {
  const { done, mac } = countingMac()
  const { stage, child } = known({ mac })
  done.macs = 0
  const handle = stage.bind('s', child('four'))
  expect(done.macs).toBe(1)
  expect(['/work/four/a', '/work/five/a', '/etc/a'].map((path) => stage.check('s', handle, [read(path)]).allow)).toEqual([
    true,
    false,
    false,
  ])
})

test('the ids of a new child of a known root are those of a gate that knows nothing', () => {
  const { stage, child } = known()
  const fresh = testStage().stage
  const blocks = [stage, fresh].map((gate) => gate.check('s', gate.bind('s', child('four')), [read('/work/four/a')]))
  expect(blocks[0]).toMatchObject({ allow: true, blocks: (blocks[1] as { blocks?: unknown }).blocks })
})

test('a known root with another grant in its place is refused, though its holder goes on from its value', () => {
  const { stage, root } = known()
  const { headerBytes, blocks, tag } = parseToken(root)
  const wider = encodeBlock({ kind: 'grant', sections: sectionsOf(only('/etcs/**')) })
  expect(wider.payload.length).toBe(blocks[0]?.payload.length)
  const narrowing = encodeBlock({ kind: 'restrict', closed: false, sections: sectionsOf({ tools: [] }) })
  const forged = serialiseToken({ headerBytes, blocks: [wider, narrowing], tag: nextChainValue(bunMac, tag, narrowing) })
  expect(codeOf(() => stage.bind('s', forged))).toBe('E_CAP_INVALID')
})

test('a known root with another header is refused: longer time, another nonce, another run, another key', () => {
  const { stage, child } = known()
  const { headerBytes, blocks, tag } = parseToken(child('four'))
  const outcomes = Array.from(headerBytes, (_, at) => {
    const altered = headerBytes.slice()
    altered[at] = (altered[at] as number) ^ 1
    return codeOf(() => stage.bind('s', serialiseToken({ headerBytes: altered, blocks, tag })))
  })
  expect(new Set(outcomes.slice(KEY_ID_AT, NONCE_AT))).toEqual(new Set(['E_CAP_RUN']))
  expect(new Set(outcomes.slice(NONCE_AT))).toEqual(new Set(['E_CAP_INVALID']))
  expect(outcomes.length).toBeGreaterThan(RUN_AT)
})

test('a child of a known root with any byte altered is refused', () => {
  const { stage, child } = known()
  const token = child('four')
  for (let at = 5; at < token.length; at++) {
    const altered = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`
    expect(codeOf(() => stage.bind('s', altered))).not.toBe('accepted')
  }
})

test('a new child of a known root is refused once the root is revoked, expired, or its run is over', () => {
  const revoked = known()
  revoked.stage.revoke(lastBlockId(revoked.root, bunMac))
  expect(codeOf(() => revoked.stage.bind('s', revoked.child('four')))).toBe('E_CAP_REVOKED')
  const expired = known()
  expired.clock.pass(10_000)
  expect(codeOf(() => expired.stage.bind('s', expired.child('four')))).toBe('E_CAP_EXPIRED')
  const ended = known()
  ended.stage.end()
  expect(codeOf(() => ended.stage.bind('s', ended.child('four')))).toBe('E_CAP_REVOKED')
})

test('two gates in one process share no known root', () => {
  const first = known()
  const { done, mac } = countingMac()
  const second = testStage({ mac }).stage
  // The same key and run: what the first remembers would be right for the second too, and yet is not there.
  done.macs = 0
  second.bind('s', first.child('four'))
  expect(done.macs).toBe(2)
  const other = testStage({ secret: SECRET.map((byte) => byte ^ 1) }).stage
  expect(codeOf(() => other.bind('s', first.child('four')))).toBe('E_CAP_RUN')
  const { headerBytes, blocks, tag } = parseToken(first.child('four'))
  headerBytes.set(parseToken(other.runToken).keyId, KEY_ID_AT)
  expect(codeOf(() => other.bind('s', serialiseToken({ headerBytes, blocks, tag })))).toBe('E_CAP_INVALID')
})

test('only genuine tokens make a root known', () => {
  const { done, mac } = countingMac()
  const { stage } = testStage({ mac })
  const root = stage.mint(only('/work/**'), validity)
  const forged = (i: number): string => {
    const { headerBytes, blocks, tag } = parseToken(attenuate(root, only(`/work/${i}`), bunMac))
    return serialiseToken({ headerBytes, blocks, tag: tag.map((byte) => byte ^ 1) })
  }
  for (let i = 0; i < 3; i++) expect(codeOf(() => stage.bind('s', forged(i)))).toBe('E_CAP_INVALID')
  done.macs = 0
  stage.bind('s', attenuate(root, only('/work/four'), bunMac))
  stage.bind('s', attenuate(root, only('/work/five'), bunMac))
  expect(done.macs).toBe(4)
})
