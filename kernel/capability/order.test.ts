import { describe, expect, test } from 'vitest'
import { attenuate } from './attenuate.ts'
import { encodeBase64url } from './base64url.ts'
import { nextChainValue, unhex } from './chain.ts'
import { deriveRunKey, keyIdOf } from './keys.ts'
import type { Mac } from './mac.ts'
import { bunMac } from './mac-bun.ts'
import { codeOf, GRANTS, INSTALLATION, NOW, RUN, read, SECRET, testStage } from './testing/index.ts'
import { parseToken, RUN_BYTES, serialiseToken, TOKEN_PREFIX } from './token.ts'
import { verifyToken } from './verify.ts'

/** A token with several faults is refused for the first one of the order: what comes later is not even looked at. */
const VALIDITY = { notBefore: NOW, expires: NOW + 1000 }
const badBlock = (token: string): string => {
  const parent = parseToken(token)
  const block = { type: 9, payload: Uint8Array.of(0xff) }
  return serialiseToken({ ...parent, blocks: [...parent.blocks, block], tag: nextChainValue(bunMac, parent.tag, block) })
}
const badTag = (token: string): string => {
  const parsed = parseToken(token)
  return serialiseToken({ ...parsed, tag: new Uint8Array(32) })
}

describe('the order of checks', () => {
  test('layout before key id', () => {
    const other = testStage({ installation: 'another' }).stage.mint(GRANTS, VALIDITY)
    expect(codeOf(() => testStage().stage.bind('s', `${other}=`))).toBe('E_CAP_INVALID')
  })

  test('key id before the tag', () => {
    const other = testStage({ installation: 'another' }).stage.mint(GRANTS, VALIDITY)
    expect(codeOf(() => testStage().stage.bind('s', badTag(other)))).toBe('E_CAP_RUN')
  })

  test('no MAC is computed for another key id, and none before the layout was read', () => {
    let macs = 0
    const counting = {
      ...bunMac,
      chain: {
        ...bunMac.chain,
        next: (...args: Parameters<Mac['chain']['next']>) => {
          macs += 1
          bunMac.chain.next(...args)
        },
      },
    }
    const { stage } = testStage({ mac: counting })
    const other = testStage({ installation: 'another' }).stage.mint(GRANTS, VALIDITY)
    macs = 0
    expect(codeOf(() => stage.bind('s', other))).toBe('E_CAP_RUN')
    expect(codeOf(() => stage.bind('s', TOKEN_PREFIX + encodeBase64url(new Uint8Array(4097))))).toBe('E_CAP_INVALID')
    expect(macs).toBe(0)
  })

  test('tag before run, run before time: a header of another run under our own key', () => {
    const run = unhex(RUN, RUN_BYTES) ?? new Uint8Array()
    const key = deriveRunKey(SECRET, INSTALLATION, run)
    const token = testStage().stage.mint(GRANTS, VALIDITY)
    const other = { keyId: keyIdOf(key), run: run.map((byte) => byte ^ 1), bytes: key }
    expect(codeOf(() => verifyToken(badTag(token), other, bunMac))).toBe('E_CAP_INVALID')
    expect(codeOf(() => verifyToken(token, other, bunMac))).toBe('E_CAP_RUN')
    expect(codeOf(() => verifyToken(token, { ...other, run }, bunMac))).toBe('accepted')
  })

  test('time before revocation before payloads', () => {
    const { stage, clock } = testStage()
    const token = stage.mint(GRANTS, VALIDITY)
    const verdict = stage.check('s', stage.bind('s', attenuate(token, { uses: 5 })), [read('/work/a')])
    if (!verdict.allow) throw new Error(verdict.reason)
    expect(codeOf(() => stage.bind('s', badBlock(token)))).toBe('E_CAP_INVALID')
    stage.revoke(verdict.blocks[0] ?? '')
    expect(codeOf(() => stage.bind('s', badBlock(token)))).toBe('E_CAP_REVOKED')
    clock.pass(1000)
    expect(codeOf(() => stage.bind('s', badBlock(token)))).toBe('E_CAP_EXPIRED')
    expect(codeOf(() => stage.bind('s', badTag(token)))).toBe('E_CAP_INVALID')
  })
})
