import { describe, expect, test } from 'vitest'
import { attenuate } from './attenuate.ts'
import { nextChainValue } from './chain.ts'
import { describe as inWords } from './describe.ts'
import { bunMac } from './mac-bun.ts'
import { codeOf, NOW, testStage } from './testing/index.ts'
import { parseToken, serialiseToken } from './token.ts'

/** A token with a block no build knows, under a genuine MAC. */
function withUnknownBlock(token: string): string {
  const parent = parseToken(token)
  const block = { type: 9, payload: Uint8Array.of(0xff) }
  return serialiseToken({ ...parent, blocks: [...parent.blocks, block], tag: nextChainValue(bunMac, parent.tag, block) })
}

describe('a token in words', () => {
  test('says everything a token grants and restricts, with nothing a terminal would obey', () => {
    const { stage } = testStage()
    const token = attenuate(stage.mint({ fs: { read: ['/work/**'] }, uses: 3 }, { notBefore: NOW, expires: NOW + 1000 }), {
      tools: ['\u001b[2J\u202egnp'],
      closed: true,
      delegate: 0,
      expires: NOW + 5,
      rate: { count: 1, periodMs: 60_000, burst: 2 },
      budget: { calls: 4 },
    })
    const text = inWords(token).join('\n')
    expect(text).toMatchInlineSnapshot(`
      "run 000102030405060708090a0b0c0d0e0f, key 17fc0cc1f75cabb0
      valid from 2026-01-01T00:00:00.000Z until 2026-01-01T00:00:01.000Z
      block 0 grants
        fs.read "/work/**"
        at most 3 uses
      block 1 restricts
        tools to "\\u001b[2J\\u{202e}gnp"
        everything not named here to nothing
        only until 2026-01-01T00:00:00.005Z
        at most 1 per 60000 ms, 2 at once
        at most calls 4
        cannot be narrowed further
      not verified here: only the gate of that run can tell whether the token is genuine, unrevoked and open"
    `)
    expect(text).not.toMatch(/[^\n\P{C}]/u)
  })
  test('what is no token is refused', () => {
    expect(codeOf(() => inWords('cap1_'))).toBe('E_CAP_INVALID')
    expect(codeOf(() => inWords(withUnknownBlock(testStage().stage.runToken)))).toBe('E_CAP_INVALID')
  })
})
