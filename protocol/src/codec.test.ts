import { Encoder } from 'cbor-x/index-no-eval'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromJson, hex, type JsonValue, unhex } from '../generate/vectors/json.ts'
import { failureOf, vectors } from '../testing/vectors.ts'
import { decode, encode, type WireValue } from './codec.ts'
import { MAX_CBOR_ARRAY, MAX_CBOR_VALUES, MAX_ITEM_BYTES } from './limits.ts'

const integer = fc.oneof(
  fc.maxSafeInteger().map((n) => n + 0),
  fc.integer({ min: -300, max: 300 }),
  fc.constantFrom(0, 23, 24, 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
)
const wireText = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 80 }), fc.string({ unit: 'binary', maxLength: 300 }))
const wireBytes = fc.uint8Array({ maxLength: 300 })
const scalar: fc.Arbitrary<WireValue> = fc.oneof(integer, wireText, wireBytes, fc.boolean(), fc.constant(null))
const wireValue: fc.Arbitrary<WireValue> = fc.letrec<{ value: WireValue }>((tie) => ({
  value: fc.oneof({ maxDepth: 6 }, scalar, fc.array(tie('value'), { maxLength: 12 })),
})).value

describe('vectors', () => {
  const good = vectors<{ hex: string; value: JsonValue; meaning: string }>('values.json')
  const malformed = vectors<{ hex: string; why: string; error: string }>('malformed-values.json')

  test.each(good.map((vector) => [vector.meaning, vector] as const))('%s', (_, vector) => {
    expect(hex(encode(fromJson(vector.value)))).toBe(vector.hex)
    expect(decode(unhex(vector.hex))).toEqual(fromJson(vector.value))
  })

  test.each(malformed.map((vector) => [`${vector.why}: ${vector.hex.slice(0, 40)}`, vector] as const))('refuses %s', (_, vector) => {
    const failure = failureOf(() => decode(unhex(vector.hex)))
    expect(failure.code).toBe(vector.error)
    expect(failure.message).toMatch(/^CBOR at byte \d+: ./)
  })
})

describe('properties', () => {
  test('what is encoded decodes to itself', () => {
    fc.assert(
      fc.property(wireValue, (value) => {
        expect(decode(encode(value))).toEqual(value)
      }),
    )
  })

  test('what is accepted encodes back to the same bytes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 24 }), wireValue.map(encode)), (bytes) => {
        let value: WireValue
        try {
          value = decode(bytes)
        } catch {
          return
        }
        expect(hex(encode(value))).toBe(hex(bytes))
      }),
      { numRuns: 1000 },
    )
  })

  test('every cut of an item is refused', () => {
    fc.assert(
      fc.property(wireValue, fc.nat(), (value, seed) => {
        const bytes = encode(value)
        expect(failureOf(() => decode(bytes.subarray(0, seed % bytes.length))).code).toBe('E_PROTOCOL')
      }),
    )
  })

  test('cbor-x reads the same value', () => {
    const oracle = new Encoder({ useRecords: false, mapsAsObjects: false })
    fc.assert(
      fc.property(wireValue, (value) => {
        expect(plain(oracle.decode(encode(value)))).toEqual(value)
      }),
    )
  })
})

describe('refused offsets', () => {
  test('name the place of the fault', () => {
    expect(failureOf(() => decode(unhex('830102a0'))).message).toBe('CBOR at byte 3: maps are not part of the wire')
    expect(failureOf(() => decode(unhex('8201820304ff'))).message).toBe('CBOR at byte 5: 1 bytes after the end of the item')
    expect(failureOf(() => decode(unhex('820182'))).message).toBe('CBOR at byte 2: an array of 2 elements with 0 bytes left')
    expect(failureOf(() => decode(unhex('0000'))).message).toBe('CBOR at byte 1: 1 bytes after the end of the item')
  })
})

describe('limits', () => {
  test('a byte string is a view of the input', () => {
    const input = unhex('4401020304')
    const value = decode(input) as Uint8Array
    expect(value.buffer).toBe(input.buffer)
    expect([...value]).toEqual([1, 2, 3, 4])
  })

  test('the widest array passes, one wider does not', () => {
    const widest = new Array<WireValue>(MAX_CBOR_ARRAY).fill(0)
    expect(decode(encode(widest))).toEqual(widest)
    expect(failureOf(() => encode([...widest, 0])).code).toBe('E_PROTOCOL')
  })

  test('values of one item are counted over all arrays', () => {
    const row = new Array<WireValue>(4095).fill(0)
    // 8 rows and the outer array: 8 × 4096 + 1 values, one more than is allowed.
    const full = [row, row, row, row, row, row, row, row.slice(1)]
    expect(decode(encode(full))).toEqual(full)
    expect(failureOf(() => encode([row, row, row, row, row, row, row, row])).message).toContain(String(MAX_CBOR_VALUES))
    const bytes = Uint8Array.from([0x88, ...new Array(8).fill([0x99, 0x0f, 0xff, ...new Array(4095).fill(0)]).flat()])
    expect(failureOf(() => decode(bytes)).message).toContain(String(MAX_CBOR_VALUES))
  })

  test('an item as large as a frame passes, one byte more does not', () => {
    const head = 5
    expect(encode(new Uint8Array(MAX_ITEM_BYTES - head)).length).toBe(MAX_ITEM_BYTES)
    for (const value of [new Uint8Array(MAX_ITEM_BYTES - head + 1), 'x'.repeat(MAX_ITEM_BYTES), [new Uint8Array(MAX_ITEM_BYTES - head)]]) {
      expect(failureOf(() => encode(value)).code).toBe('E_FRAME_TOO_LARGE')
    }
    const almost: WireValue[] = [new Uint8Array(MAX_ITEM_BYTES - head - 1)]
    expect(encode(almost).length).toBe(MAX_ITEM_BYTES)
    for (const one of [0, 'a', '', null, new Uint8Array(0), []])
      expect(failureOf(() => encode([...almost, one])).code).toBe('E_FRAME_TOO_LARGE')
  })

  test.each([
    ['a fraction', 1.5],
    ['NaN', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
    ['2^53', 2 ** 53],
    ['a lone surrogate', '\ud800'],
    ['a lone surrogate in a long text', `${'x'.repeat(100)}\udfff`],
    ['undefined', undefined],
    ['a bigint', 1n],
    ['an object', {}],
    ['another typed array', new Uint16Array(1)],
    ['a hole in an array', new Array(1)],
  ])('cannot encode %s', (_, value) => {
    expect(failureOf(() => encode(value as WireValue)).code).toBe('E_PROTOCOL')
  })

  test('an array that holds itself ends at the depth limit', () => {
    const loop: WireValue[] = []
    loop.push(loop)
    expect(failureOf(() => encode(loop)).message).toContain('deeper')
  })

  test('a failed encoding leaves nothing behind for the next', () => {
    failureOf(() => encode([[[1, 2, Number.NaN]]]))
    expect(hex(encode([1]))).toBe('8101')
  })
})

/** cbor-x gives Buffers and, beyond 2^53, bigints; the wire has neither. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return new Uint8Array(value)
  if (Array.isArray(value)) return value.map(plain)
  return typeof value === 'bigint' ? Number(value) : value
}
