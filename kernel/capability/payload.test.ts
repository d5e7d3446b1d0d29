import { decode, encode, type WireValue } from '@authority/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeBase64url, decodePortably, encodeBase64url } from './base64url.ts'
import { BLOCK_TYPE, decodeBlock, decodePayload, encodeBlock } from './blocks.ts'
import { MAX_PATTERN_BYTES } from './limits.ts'
import { codeOf } from './testing/index.ts'

/** A payload is read in one pass that knows what must come next; the wire's own decoder, which builds everything first, is its oracle. */
const text = fc.oneof(fc.constantFrom('/a/**', 'search', '', 'ä', '\ufeffx', 'a'.repeat(30), 'é'.repeat(20)), fc.string({ maxLength: 30 }))
const list = fc.oneof(fc.constant(null), fc.array(text, { maxLength: 3 }))
const integer = fc.oneof(fc.constantFrom(null, 0, 15, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32, Number.MAX_SAFE_INTEGER, -1), fc.nat(40))
const rate = fc.oneof(fc.constant(null), fc.array(fc.nat(30), { minLength: 2, maxLength: 4 }))
const budget = fc.oneof(
  fc.constant(null),
  fc.array(fc.tuple(fc.constantFrom('calls', 'tokens', 'bytes', 'hops', '__proto__'), fc.nat(30)), { maxLength: 3 }),
)
const limits = [integer, integer, rate, budget] as const
const sections = [list, list, list, list, list, list, list] as const
/** fs.look stands last, where it is there. */
const withAdded = (elements: readonly WireValue[]) =>
  fc.option(list, { nil: undefined }).map((look) => (look === undefined ? elements : [...elements, look]))
const shaped: fc.Arbitrary<readonly [number, WireValue]> = fc.oneof(
  fc.tuple(fc.constant(BLOCK_TYPE.GRANT), fc.tuple(...sections, ...limits).chain(withAdded)),
  fc.tuple(fc.constant(BLOCK_TYPE.RESTRICT), fc.tuple(fc.boolean(), ...sections, integer, integer, ...limits).chain(withAdded)),
  fc.tuple(fc.constant(BLOCK_TYPE.RUN_GRANT), fc.tuple(fc.uint8Array({ minLength: 31, maxLength: 32 }), ...limits)),
) as fc.Arbitrary<readonly [number, WireValue]>
const damage = fc.record({ at: fc.nat(200), to: fc.nat(255), how: fc.constantFrom('none', 'none', 'flip', 'cut', 'grow') })

function damaged(bytes: Uint8Array, { at, to, how }: { at: number; to: number; how: string }): Uint8Array {
  const place = at % bytes.length
  if (how === 'flip') return bytes.with(place, to)
  if (how === 'cut') return bytes.slice(0, place)
  return how === 'grow' ? Uint8Array.of(...bytes, to) : bytes
}

test('what is read is the one encoding of what it says, and the wire’s decoder reads it too', () => {
  let accepted = 0
  let refusedByWire = 0
  fc.assert(
    fc.property(shaped, damage, ([type, value], how) => {
      const payload = damaged(encode(value), how)
      const index = type === BLOCK_TYPE.RESTRICT ? 1 : 0
      const code = codeOf(() => decodeBlock({ type, payload }, index))
      const isWire = codeOf(() => decode(payload)) === 'accepted'
      if (!isWire) refusedByWire += 1
      if (code !== 'accepted') return void expect(code).toBe('E_CAP_INVALID')
      accepted += 1
      expect(isWire).toBe(true)
      expect(encodeBlock(decodeBlock({ type, payload }, index))).toEqual({ type, payload })
    }),
    { numRuns: 5000, seed: 6 },
  )
  expect(accepted).toBeGreaterThan(100)
  expect(refusedByWire).toBeGreaterThan(100)
})

test('a payload is read from its own bytes alone, whatever stands behind it', () => {
  const { type, payload } = encodeBlock({ kind: 'restrict', closed: false, sections: new Map([['fs.read', ['/a/**']]]), uses: 2 ** 40 })
  const longer = Uint8Array.of(...payload, ...payload)
  for (let end = 0; end < payload.length; end++)
    expect(
      codeOf(() => decodeBlock({ type, payload: longer.subarray(0, end) }, 1)),
      `${end}`,
    ).toBe('E_CAP_INVALID')
})

test('an array that says it holds fewer elements than follow, or more, is refused', () => {
  for (const closed of [true, false])
    for (const expires of [undefined, 5]) {
      const { type, payload } = encodeBlock({ kind: 'restrict', closed, sections: new Map([['tools', ['a']]]), expires })
      for (let head = 0x80; head <= 0x97; head++)
        expect(
          codeOf(() => decodeBlock({ type, payload: payload.with(0, head) }, 1)),
          `${head - 0x80}`,
        ).toBe(head === payload[0] ? 'accepted' : 'E_CAP_INVALID')
    }
})

test('the runtime’s base64url decoder, checked, takes exactly what the portable one takes', () => {
  const letter = fc.constantFrom(...'ABab01-_zZ89', '+', '/', '=', ' ', '\n', '\t', '\u0000', 'Ā', 'é')
  const nearly = fc.uint8Array({ maxLength: 40 }).map(encodeBase64url)
  const spelt = fc.oneof(
    fc.string({ unit: letter, maxLength: 12 }),
    nearly,
    fc.tuple(nearly, letter).map(([a, b]) => a + b),
    fc.tuple(letter, nearly).map(([a, b]) => a + b),
  )
  fc.assert(
    fc.property(spelt, fc.nat(3), (each, start) => {
      expect(decodeBase64url(each, start)).toEqual(decodePortably(each, start))
    }),
    { numRuns: 20_000 },
  )
})

describe('a payload that is right but for one thing is refused', () => {
  const NULL = 0xf6
  /** A restriction that lists and limits nothing: closed, seven sections, two times, four limits. */
  const nulls = (count: number): number[] => new Array<number>(count).fill(NULL)
  const restriction = (...elements: readonly number[]): Uint8Array => Uint8Array.of(0x8e, 0xf4, ...elements)
  const codeAt = (payload: Uint8Array, type: number, index: number): string => codeOf(() => decodeBlock({ type, payload }, index))
  const code = (payload: Uint8Array): string => codeAt(payload, BLOCK_TYPE.RESTRICT, 1)
  const ascii = (text: string): number[] => [...text].map((character) => character.charCodeAt(0))

  test('but for nothing it is taken', () => {
    expect(code(restriction(...nulls(13)))).toBe('accepted')
    expect(code(restriction(...nulls(11), 0x83, 1, 2, 3, NULL))).toBe('accepted')
    expect(code(restriction(...nulls(12), 0x81, 0x82, 0x65, ...ascii('calls'), 1))).toBe('accepted')
  })

  test('a rate of two numbers takes none of what follows', () => {
    expect(code(restriction(...nulls(11), 0x82, 1, 2, 3, NULL))).toBe('E_CAP_INVALID')
  })

  test('a budget of a dimension nobody knows', () => {
    expect(code(restriction(...nulls(12), 0x81, 0x82, 0x65, ...ascii('calms'), 1))).toBe('E_CAP_INVALID')
  })

  test('a pattern longer than any may be, in a list of patterns', () => {
    const pattern = (length: number): number[] => [0x81, 0x79, length >> 8, length & 0xff, ...new Array<number>(length).fill(0x61)]
    expect(code(restriction(...pattern(MAX_PATTERN_BYTES), ...nulls(12)))).toBe('accepted')
    expect(code(restriction(...pattern(MAX_PATTERN_BYTES + 1), ...nulls(12)))).toBe('E_CAP_INVALID')
  })

  test('numbers in the forms the wire does not know, with all the bytes there that they could stand for', () => {
    // 2^32, were they read as the longest form that there is.
    const bytes = (length: number): number[] => Array.from({ length }, (_, i) => (i === 3 ? 1 : 0))
    for (const info of [28, 29, 30, 31])
      for (const length of [0, 8, 16, 32, 64, 128])
        expect(code(restriction(...nulls(10), info, ...bytes(length), ...nulls(2))), `${info} ${length}`).toBe('E_CAP_INVALID')
    expect(code(restriction(...nulls(10), 27, ...bytes(8), ...nulls(2)))).toBe('accepted')
  })

  test('elements that stand behind its end are none of it', () => {
    const whole = restriction(...nulls(13))
    for (let end = 1; end < whole.length; end++)
      expect(
        codeOf(() => decodePayload(Uint8Array.of(...whole, ...nulls(20)), BLOCK_TYPE.RESTRICT, 0, end, 1)),
        `${end}`,
      ).toBe('E_CAP_INVALID')
  })

  test('as block 0, of a type nobody knows or a restriction', () => {
    const grant = encodeBlock({ kind: 'grant', sections: new Map([['fs.read', ['/a/**']]]) })
    expect(codeAt(grant.payload, BLOCK_TYPE.GRANT, 0)).toBe('accepted')
    for (const type of [3, 4, 127, 255]) expect(codeAt(grant.payload, type, 0), `${type}`).toBe('E_CAP_INVALID')
    expect(codeAt(restriction(...nulls(13)), BLOCK_TYPE.RESTRICT, 0)).toBe('E_CAP_INVALID')
  })
})
