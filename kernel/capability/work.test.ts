import { describe, expect, test } from 'vitest'
import { attenuate } from './attenuate.ts'
import { encodeBase64url } from './base64url.ts'
import type { Mac } from './mac.ts'
import { bunMac } from './mac-bun.ts'
import { patternRules } from './pattern-rules.ts'
import type { CompileRules } from './rules.ts'
import { codeOf, NOW, read, testStage } from './testing/index.ts'

/** Work in counts, not in time: what a token makes the gate do, against what the ordinary one (a root and three blocks) does. */
interface Work {
  macs: number
  /** Bytes that are MACed or hashed. */
  hashed: number
  patterns: number
  asked: number
}

function countingStage() {
  const work: Work = { macs: 0, hashed: 0, patterns: 0, asked: 0 }
  const mac: Mac = {
    ...bunMac,
    hmac: (key, head, body) => {
      work.macs += 1
      work.hashed += head.length + (body?.length ?? 0)
      return bunMac.hmac(key, head, body)
    },
    fingerprint: (bytes, seed) => {
      work.hashed += bytes.length
      return bunMac.fingerprint(bytes, seed)
    },
    chain: {
      ...bunMac.chain,
      next: (head, bytes, from, to) => {
        work.macs += 1
        work.hashed += head.length + to - from
        bunMac.chain.next(head, bytes, from, to)
      },
      name: (label) => {
        work.hashed += label.length + 32
        return bunMac.chain.name(label)
      },
    },
  }
  const compile: CompileRules = (grants) => {
    work.patterns += JSON.stringify(grants).split('"').length
    const rules = patternRules(grants)
    return {
      allows: (question) => {
        work.asked += 1
        return rules.allows(question)
      },
    }
  }
  const parts = testStage({ mac, compile })
  /** Of one binding, one question and one release. */
  const spent = (token: string): Work & { code: string } => {
    Object.assign(work, { macs: 0, hashed: 0, patterns: 0, asked: 0 })
    const code = codeOf(() => {
      const handle = parts.stage.bind('s', token)
      parts.stage.check('s', handle, [read('/work/a')])
      parts.stage.release('s', handle)
    })
    return { ...work, code }
  }
  return { ...parts, spent }
}

const validity = { notBefore: NOW, expires: NOW + 1000 }
const { stage, spent } = countingStage()
const root = stage.mint({ fs: { read: ['/work/**'] } }, validity)
const chain = (blocks: number, restriction = { fs: { read: ['/work/**'] } }): string =>
  Array.from({ length: blocks }).reduce<string>((token) => attenuate(token, restriction, bunMac), root)
const ordinary = spent(chain(3))
const longest = chain(15, { fs: { read: ['/work/**', ...Array.from({ length: 20 }, (_, i) => `/${i}`)] } })
const genuine = [
  ['the most blocks', chain(15)],
  ['the most blocks, full of patterns', longest],
  ['one block full of patterns', stage.mint({ fs: { read: Array.from({ length: 240 }, (_, i) => `/work/${i}`) } }, validity)],
] as const
const hostile = [
  ['empty', ''],
  ['64 MiB', 'cap1_'.padEnd(1 << 26, 'A')],
  ['a million blocks', `cap1_${encodeBase64url(new Uint8Array(57 + 32 + 3_000_000).fill(1, 0, 1))}`],
  ['4 KiB of empty blocks', `cap1_${encodeBase64url(new Uint8Array(4096).fill(1, 0, 1))}`],
  ['4 KiB of noise', `cap1_${encodeBase64url(Uint8Array.from({ length: 4096 }, (_, i) => (i * 37) & 255))}`],
  ['a forged tag', `${longest.slice(0, -3)}AAA`],
] as const

describe('no token makes a check dearer than a stated multiple of the ordinary one', () => {
  test('the ordinary one', () => {
    expect(ordinary).toMatchObject({ macs: 4, asked: 4, code: 'accepted' })
  })

  test.each(genuine)('%s: at most 5 times the MACs, 20 times the bytes, 40 times the patterns, 4 times the questions', (_name, token) => {
    const work = spent(token)
    expect(work.code).toBe('accepted')
    expect(work.macs).toBeLessThanOrEqual(ordinary.macs * 5)
    expect(work.hashed).toBeLessThanOrEqual(ordinary.hashed * 20)
    expect(work.patterns).toBeLessThanOrEqual(ordinary.patterns * 40)
    expect(work.asked).toBeLessThanOrEqual(ordinary.asked * 4)
  })

  test.each(hostile)('%s: refused, no pattern compiled, at most 5 times the MACs and 20 times the bytes', (_name, token) => {
    const work = spent(token)
    expect(['E_CAP_INVALID', 'E_CAP_RUN']).toContain(work.code)
    expect(work).toMatchObject({ patterns: 0, asked: 0 })
    expect(work.macs).toBeLessThanOrEqual(ordinary.macs * 5)
    expect(work.hashed).toBeLessThanOrEqual(ordinary.hashed * 20)
  })

  test('what is longer than a token may be is not even hashed', () => {
    expect(spent(hostile[1][1])).toMatchObject({ macs: 0, hashed: 0 })
  })

  test('a token that comes for the third time is neither MACed nor compiled', () => {
    spent(longest)
    spent(longest)
    expect(spent(longest)).toMatchObject({ macs: 0, patterns: 0, code: 'accepted' })
  })
})
