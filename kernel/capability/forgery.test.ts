import { encode, type WireValue } from '@authority/protocol'
import { describe, expect, test } from 'vitest'
import { attenuate, seal } from './attenuate.ts'
import { encodeBase64url } from './base64url.ts'
import { BLOCK_TYPE } from './blocks.ts'
import { nextChainValue } from './chain.ts'
import { MAX_BLOCKS, MAX_TOKEN_BINARY_BYTES } from './limits.ts'
import { bunMac } from './mac-bun.ts'
import { codeOf, GRANTS, NOW, testStage } from './testing/index.ts'
import { BLOCK_HEADER_BYTES, type Block, HEADER_BYTES, parseToken, serialiseToken, TAG_BYTES, TOKEN_PREFIX, type Token } from './token.ts'

const { stage } = testStage()
const ROOT = stage.mint(GRANTS, { notBefore: NOW, expires: NOW + 1000 })
const ONE = attenuate(ROOT, { fs: { read: ['/work/docs/**'] } })
const TWO = attenuate(ONE, { uses: 5 })
const THREE = attenuate(TWO, { expires: NOW + 500, closed: true })

const bind = (token: string): string => {
  const code = codeOf(() => stage.bind('s', token))
  if (code === 'accepted') stage.endSession('s')
  return code
}
const bytesOf = (token: string): Uint8Array => {
  const { headerBytes } = parseToken(token)
  return new Uint8Array(headerBytes.buffer, headerBytes.byteOffset, Buffer.from(token.slice(5), 'base64url').length)
}
const textOf = (bytes: Uint8Array): string => TOKEN_PREFIX + encodeBase64url(bytes)
const withBlocks = (token: string, change: (blocks: readonly Block[]) => readonly (Block | undefined)[]): string => {
  const parsed = parseToken(token)
  return serialiseToken({ ...parsed, blocks: change(parsed.blocks).filter((block) => block !== undefined) })
}
/** A block of any content under a genuine MAC: what a hostile holder of an open token can really make. */
const extend = (token: string, type: number, payload: Uint8Array): string => {
  const parent = parseToken(token)
  const block = { type, payload }
  return serialiseToken({ ...parent, blocks: [...parent.blocks, block], tag: nextChainValue(bunMac, parent.tag, block) })
}

test('the tokens themselves are good', () => {
  for (const token of [ROOT, ONE, TWO, THREE, seal(THREE)]) expect(bind(token)).toBe('accepted')
})

describe('altered tokens', () => {
  test('every single bit flipped is refused', () => {
    for (const token of [THREE, seal(ONE)]) {
      const bytes = bytesOf(token)
      const codes = new Set<string>()
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const flipped = bytes.slice()
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        codes.add(bind(textOf(flipped)))
      }
      expect([...codes].sort()).toEqual(['E_CAP_INVALID', 'E_CAP_RUN'])
    }
  })

  test('every truncation, from either end and in between, is refused', () => {
    const bytes = bytesOf(THREE)
    for (let length = 0; length < bytes.length; length++) {
      expect(bind(textOf(bytes.subarray(0, length)))).toMatch(/^E_CAP_(INVALID|RUN)$/)
      expect(bind(textOf(bytes.subarray(bytes.length - length)))).toMatch(/^E_CAP_(INVALID|RUN)$/)
      expect(bind(textOf(Uint8Array.of(...bytes.subarray(0, length), ...bytes.subarray(length + 1))))).toMatch(/^E_CAP_(INVALID|RUN)$/)
    }
    for (let length = 0; length < THREE.length; length++) expect(bind(THREE.slice(0, length))).toMatch(/^E_CAP_(INVALID|RUN)$/)
  })

  test('a byte added anywhere is refused', () => {
    const bytes = bytesOf(TWO)
    for (let at = 0; at <= bytes.length; at++)
      for (const byte of [0, 1, 255])
        expect(bind(textOf(Uint8Array.of(...bytes.subarray(0, at), byte, ...bytes.subarray(at))))).toMatch(/^E_CAP_(INVALID|RUN)$/)
  })

  test.each<[string, (blocks: readonly Block[]) => readonly (Block | undefined)[]]>([
    ['first restriction removed', ([grant, , b, c]) => [grant, b, c]],
    ['last restriction removed', ([grant, a, b]) => [grant, a, b]],
    ['grant removed', ([, a, b, c]) => [a, b, c]],
    ['all restrictions removed', ([grant]) => [grant]],
    ['restrictions reordered', ([grant, a, b, c]) => [grant, b, a, c]],
    ['grant moved', ([grant, a, b, c]) => [a, grant, b, c]],
    ['a block twice', ([grant, a, b, c]) => [grant, a, a, b, c]],
    ['the grant twice', ([grant, a, b, c]) => [grant, grant, a, b, c]],
    ['an empty block added', (blocks) => [...blocks, { type: BLOCK_TYPE.RESTRICT, payload: new Uint8Array() }]],
  ])('%s: refused', (_, change) => {
    expect(bind(withBlocks(THREE, change))).toBe('E_CAP_INVALID')
  })

  test('a header without a grant cannot exist: no root token', () => {
    const { headerBytes, tag } = parseToken(ROOT)
    expect(bind(textOf(Uint8Array.of(...headerBytes, ...tag)))).toBe('E_CAP_INVALID')
  })

  test('header, block or tag of another token spliced in is refused', () => {
    const other = parseToken(attenuate(stage.mint({ fs: { read: ['/**'] } }, { notBefore: NOW, expires: NOW + 1000 }), { uses: 5 }))
    const mine = parseToken(TWO)
    const splices: Pick<Token, 'headerBytes' | 'blocks' | 'tag'>[] = [
      { ...mine, headerBytes: other.headerBytes },
      { ...mine, blocks: other.blocks },
      { ...mine, blocks: [...other.blocks.slice(0, 1), ...mine.blocks.slice(1)] },
      { ...mine, tag: other.tag },
      { ...other, tag: mine.tag },
    ]
    for (const splice of splices) expect(bind(serialiseToken(splice))).toBe('E_CAP_INVALID')
  })

  test('moving the boundary between type, payload and next block never keeps the MAC', () => {
    const bytes = bytesOf(THREE)
    const view = new DataView(bytes.slice().buffer)
    for (let at = HEADER_BYTES; at < bytes.length - TAG_BYTES; ) {
      const length = view.getUint16(at)
      for (const shift of [-2, -1, 1, 2]) {
        const changed = bytes.slice()
        new DataView(changed.buffer).setUint16(at, Math.max(0, length + shift))
        if (length + shift >= 0) expect(bind(textOf(changed))).toBe('E_CAP_INVALID')
      }
      at += BLOCK_HEADER_BYTES + length
    }
    // One block whose payload holds what were two, and the other way round.
    const { headerBytes, tag, blocks } = parseToken(TWO)
    const [grant, a, b] = blocks
    if (grant === undefined || a === undefined || b === undefined) throw new Error('TWO has three blocks')
    const joined = { type: a.type, payload: Uint8Array.of(...a.payload, 0, b.payload.length, b.type, ...b.payload) }
    expect(bind(serialiseToken({ headerBytes, tag, blocks: [grant, joined] }))).toBe('E_CAP_INVALID')
    expect(
      bind(
        serialiseToken({
          headerBytes,
          tag,
          blocks: [grant, { type: a.type, payload: a.payload.subarray(0, 2) }, { type: a.type, payload: a.payload.subarray(2) }, b],
        }),
      ),
    ).toBe('E_CAP_INVALID')
  })

  test('a tag is never taken for another kind of tag', () => {
    // A seal is HMAC(last, 0x02 "seal"): a block that begins like it must not collide, and a sealed tag must not serve as an open one.
    const sealed = parseToken(seal(ONE))
    expect(bind(serialiseToken({ ...sealed, tag: parseToken(ONE).tag }))).toBe('accepted')
    expect(bind(attenuate(seal(ONE), { uses: 1 }))).toBe('E_CAP_INVALID')
    expect(bind(serialiseToken({ ...parseToken(TWO), tag: parseToken(seal(ONE)).tag }))).toBe('E_CAP_INVALID')
  })
})

describe('spelling', () => {
  const body = ONE.slice(TOKEN_PREFIX.length)
  test.each([
    ['padding', `${ONE}=`],
    ['two paddings', `${ONE}==`],
    ['a newline at the end', `${ONE}\n`],
    ['a space at the start', ` ${ONE}`],
    ['whitespace inside', `${ONE.slice(0, 30)} ${ONE.slice(30)}`],
    ['a NUL', `${ONE}\0`],
    ['a byte order mark', `\ufeff${ONE}`],
    ['a full-width letter', `${TOKEN_PREFIX}${String.fromCharCode(0xff21)}${body.slice(1)}`],
    ['a character whose low byte is in the alphabet', `${TOKEN_PREFIX}${String.fromCharCode(0x100 + body.charCodeAt(0))}${body.slice(1)}`],
    ['upper-case prefix', `CAP1_${body}`],
    ['another version in the prefix', `cap2_${body}`],
    ['no prefix', body],
    ['the prefix twice', `${TOKEN_PREFIX}${ONE}`],
    ['the prefix alone', TOKEN_PREFIX],
    ['nothing', ''],
    ['a dot', `${ONE}.`],
    ['percent', `${ONE}%3D`],
  ])('%s is refused', (_, text) => {
    expect(bind(text)).toBe('E_CAP_INVALID')
  })

  test('standard base64 of the same bytes is refused where it differs', () => {
    const standard = Buffer.from(bytesOf(THREE)).toString('base64').replace(/=+$/, '')
    const tokens = [TOKEN_PREFIX + standard, TOKEN_PREFIX + Buffer.from(bytesOf(THREE)).toString('base64')].filter((text) => text !== THREE)
    expect(tokens.length).toBeGreaterThan(0)
    for (const text of tokens) expect(bind(text)).toBe('E_CAP_INVALID')
  })

  test('unused bits of the last character must be zero: one token, one text', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    for (const token of [ROOT, ONE, TWO, THREE]) {
      const accepted = [...alphabet].filter((last) => bind(token.slice(0, -1) + last) === 'accepted')
      expect(accepted).toEqual([token.at(-1)])
    }
  })
})

describe('too much', () => {
  test('16 blocks are the most, offline and at the gate', () => {
    let token = ROOT
    for (let i = 1; i < MAX_BLOCKS; i++) token = attenuate(token, { uses: 100 })
    expect(bind(token)).toBe('accepted')
    expect(codeOf(() => attenuate(token, { uses: 100 }))).toBe('E_CAP_INVALID')
    const bytes = bytesOf(token)
    const block = Uint8Array.of(0, 0, BLOCK_TYPE.RESTRICT)
    expect(bind(textOf(Uint8Array.of(...bytes.subarray(0, -TAG_BYTES), ...block, ...bytes.subarray(-TAG_BYTES))))).toBe('E_CAP_INVALID')
  })

  test('a million blocks and a gigabyte are refused by their length, before anything is decoded', () => {
    const refuse = (text: string) => expect(() => parseToken(text)).toThrow(/longer than \d+ characters/)
    refuse(TOKEN_PREFIX + 'AAAB'.repeat(1_000_000))
    // A rope: the engine never holds the gigabyte unless someone walks it.
    let rope = 'A'
    while (rope.length < 2 ** 29) rope += rope
    refuse(TOKEN_PREFIX + rope)
  })

  test('a block that claims more than there is is refused without taking it', () => {
    const bytes = bytesOf(ROOT).slice()
    new DataView(bytes.buffer).setUint16(HEADER_BYTES, 0xffff)
    expect(bind(textOf(bytes))).toBe('E_CAP_INVALID')
  })

  test('4 KiB are the most, to the byte', () => {
    const room = MAX_TOKEN_BINARY_BYTES - bytesOf(ROOT).length - BLOCK_HEADER_BYTES
    // [false, [pattern], null × 12] around a pattern long enough for a two-byte length.
    const overhead = encode([false, ['x'.repeat(300)], ...Array<null>(12).fill(null)]).length - 300
    const fitting = (extra: number): string[] => {
      const length = room - overhead + extra
      return [`/${'x'.repeat(length - 1)}`]
    }
    const payload = (list: string[]): Uint8Array => encode([false, list, ...Array<null>(12).fill(null)])
    expect(bytesOf(extend(ROOT, BLOCK_TYPE.RESTRICT, payload(fitting(0))))).toHaveLength(MAX_TOKEN_BINARY_BYTES)
    expect(() => extend(ROOT, BLOCK_TYPE.RESTRICT, payload(fitting(1)))).toThrow(/4097 bytes/)
    expect(bind(textOf(new Uint8Array(MAX_TOKEN_BINARY_BYTES + 1).fill(1)))).toBe('E_CAP_INVALID')
  })

  test('CBOR that claims a million elements or a gigabyte of text inside a genuine block is refused', () => {
    for (const payload of [
      [0x9a, 0, 0x0f, 0x42, 0x40],
      [0x7a, 0x40, 0, 0, 0],
      [0x5b, 0, 0, 0, 1, 0, 0, 0, 0],
      Array<number>(3000).fill(0x81),
    ])
      expect(bind(extend(ROOT, BLOCK_TYPE.RESTRICT, Uint8Array.from(payload)))).toBe('E_CAP_INVALID')
  })
})

describe('genuine blocks that say what this build does not know', () => {
  const none: readonly WireValue[] = Array<null>(7).fill(null)
  const good: readonly WireValue[] = [false, ...none, null, null, null, 5, null, null]
  const change = (index: number, value: WireValue): WireValue[] => good.with(index, value)
  test('the shape they vary is good', () => {
    expect(bind(extend(ROOT, BLOCK_TYPE.RESTRICT, encode(good)))).toBe('accepted')
  })
  test.each<[string, number, WireValue]>([
    ['an unknown type', 3, good],
    ['the last type', 255, good],
    ['a second grant', BLOCK_TYPE.GRANT, [['/**'], ...Array<null>(10).fill(null)]],
    ['a run grant below block 0', BLOCK_TYPE.RUN_GRANT, [new Uint8Array(32), null, null, null, null]],
    ['one element more', 1, [...good, null]],
    ['one element less', 1, good.slice(0, -1)],
    ['no elements', 1, []],
    ['no array', 1, 5],
    ['a text', 1, '__proto__'],
    ['closed as a number', 1, change(0, 1)],
    ['closed left open', 1, change(0, null)],
    ['a section that is no list', 1, change(1, '/work/**')],
    ['a pattern that is no text', 1, change(1, [1])],
    ['an empty pattern', 1, change(1, [''])],
    ['a pattern too long', 1, change(1, [`/${'x'.repeat(2048)}`])],
    ['a pattern in bytes', 1, change(1, [Uint8Array.of(47)])],
    ['too many patterns', 1, change(6, Array<string>(257).fill('a'))],
    ['a negative time', 1, change(8, -1)],
    ['a time after the year 9999', 1, change(9, 253_402_300_800_000)],
    ['a delegation deeper than any token', 1, change(10, 16)],
    ['negative uses', 1, change(11, -1)],
    ['a rate without burst', 1, change(12, [1, 1000])],
    ['a rate of nothing', 1, change(12, [0, 1000, 1])],
    ['a rate over no time', 1, change(12, [1, 0, 1])],
    ['a rate with more', 1, change(12, [1, 1, 1, 1])],
    ['an unknown dimension', 1, change(13, [['kilocalls', 1]])],
    ['__proto__ as a dimension', 1, change(13, [['__proto__', 1]])],
    [
      'a dimension twice',
      1,
      change(13, [
        ['calls', 5],
        ['calls', 9],
      ]),
    ],
    [
      'dimensions out of order',
      1,
      change(13, [
        ['bytes', 5],
        ['calls', 9],
      ]),
    ],
    ['a budget below nothing', 1, change(13, [['calls', -1]])],
    ['a budget of three', 1, change(13, [['calls', 1, 1]])],
  ])('%s is refused', (_, type, value) => {
    expect(bind(extend(ROOT, type, encode(value)))).toBe('E_CAP_INVALID')
  })
  test.each<[string, readonly number[]]>([
    ['nothing', []],
    ['bytes after the array', [...encode(good), 0]],
    ['an array that claims more than it holds', [0x90, ...encode([...good, ['/work/**']]).subarray(1)]],
    ['a map', [0xa0]],
    ['a float', [0xf9, 0, 0]],
    ['an indefinite array', [0x9f, 0xff]],
    ['a number not in its shortest form', [0x8e, 0xf4, 0xf6, 0xf6, 0xf6, 0xf6, 0xf6, 0xf6, 0xf6, 0xf6, 0xf6, 0xf6, 0x18, 5, 0xf6, 0xf6]],
    ['ill-formed UTF-8', [0x8e, 0xf4, 0x81, 0x62, 0x2f, 0xff, ...Array<number>(12).fill(0xf6)]],
  ])('%s is refused', (_, payload) => {
    expect(bind(extend(ROOT, BLOCK_TYPE.RESTRICT, Uint8Array.from(payload)))).toBe('E_CAP_INVALID')
  })
})

test('no refusal holds a piece of the token', () => {
  const broken = [`${THREE}=`, THREE.slice(0, -1), textOf(bytesOf(THREE).with(HEADER_BYTES + 5, 1)), attenuate(seal(THREE), { uses: 1 })]
  for (const token of broken) {
    let message = ''
    try {
      stage.bind('s', token)
    } catch (error) {
      message = error instanceof Error ? `${error.message} ${String(error.stack)} ${JSON.stringify(error)}` : ''
    }
    expect(message).toContain('capability token')
    for (let at = TOKEN_PREFIX.length; at + 12 <= token.length; at++) expect(message).not.toContain(token.slice(at, at + 12))
  }
})

describe('what a holder asks for', () => {
  test.each<[string, string]>([
    ['an unknown key', '{"fs":{"read":[]},"filesystem":{}}'],
    ['an unknown section', '{"fs":{"execute":["/**"]}}'],
    ['__proto__', '{"__proto__":{"closed":true},"uses":1}'],
    ['constructor', '{"constructor":{},"uses":1}'],
    ['__proto__ in a section', '{"fs":{"__proto__":{"read":[]}}}'],
    ['__proto__ in a budget', '{"budget":{"__proto__":1}}'],
    ['nothing at all', '{}'],
    ['a list', '[]'],
    ['null', 'null'],
    ['a section that is no list', '{"tools":"search"}'],
    ['a pattern that is no text', '{"tools":[1]}'],
    ['uses as text', '{"uses":"5"}'],
    ['uses as a fraction', '{"uses":0.5}'],
    ['negative uses', '{"uses":-1}'],
    ['uses beyond 2^53', '{"uses":9007199254740992}'],
    ['a rate without burst', '{"rate":{"count":1,"periodMs":1}}'],
    ['closed as text', '{"closed":"false"}'],
    ['a pattern that is no Unicode', '{"tools":["\\ud800"]}'],
  ])('%s is refused before a token is made', (_, json) => {
    expect(codeOf(() => attenuate(ROOT, JSON.parse(json)))).toBe('E_CAP_INVALID')
  })

  test('inherited fields count as nothing', () => {
    const inherited = Object.create({ closed: true, fs: { read: [] } })
    inherited.uses = 3
    const handle = stage.bind('s', attenuate(ROOT, inherited))
    expect(stage.check('s', handle, [{ action: 'fs.read', object: '/work/a' }]).allow).toBe(true)
    stage.endSession('s')
  })
})
