import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { lz4Legacy } from './lz4.ts'

/** A legacy frame whose blocks hold literals only. */
function literalFrame(parts: readonly Uint8Array[]): Uint8Array {
  const out: number[] = [0x02, 0x21, 0x4c, 0x18]
  for (const part of parts) {
    const block: number[] = [Math.min(part.length, 15) << 4]
    if (part.length >= 15) {
      let rest = part.length - 15
      for (; rest >= 255; rest -= 255) block.push(255)
      block.push(rest)
    }
    block.push(...part)
    out.push(block.length & 255, (block.length >> 8) & 255, (block.length >> 16) & 255, 0, ...block)
  }
  return new Uint8Array(out)
}

const frame = (...block: number[]) => new Uint8Array([0x02, 0x21, 0x4c, 0x18, block.length, 0, 0, 0, ...block])

describe('lz4 legacy frames', () => {
  test('literals of any length come back', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 700 }), { minLength: 1, maxLength: 4 }), (parts) => {
        expect([...lz4Legacy(literalFrame(parts), 1 << 20)]).toEqual(parts.flatMap((part) => [...part]))
      }),
      { numRuns: 50 },
    )
  })

  test('a match that overlaps itself repeats', () => {
    // literals "ab", match of 4+2 at distance 2, then literal "c"
    expect(new TextDecoder().decode(lz4Legacy(frame(0x22, 0x61, 0x62, 2, 0, 0x10, 0x63), 100))).toBe('ababababc')
  })

  test.each([
    ['distance before the start', frame(0x20, 0x61, 0x62, 9, 0, 0x10, 0x63)],
    ['distance zero', frame(0x20, 0x61, 0x62, 0, 0, 0x10, 0x63)],
    ['literals past the end', frame(0x50, 0x61)],
    ['a cut length', frame(0xf0, 255)],
    ['no magic', new Uint8Array(20)],
    ['a block past the end', new Uint8Array([0x02, 0x21, 0x4c, 0x18, 200, 0, 0, 0, 1])],
  ])('%s is refused', (_, bytes) => {
    expect(() => lz4Legacy(bytes, 1000)).toThrow(/damaged/)
  })

  test('a stream past its bound is refused', () => {
    expect(() => lz4Legacy(literalFrame([new Uint8Array(100)]), 99)).toThrow(/grew past 99/)
  })

  test('any bytes are refused or decoded, never more than that', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          lz4Legacy(new Uint8Array([0x02, 0x21, 0x4c, 0x18, bytes.length, 0, 0, 0, ...bytes]), 1 << 24)
        } catch (failure) {
          expect(String(failure)).toMatch(/damaged/)
        }
      }),
      { numRuns: 100 },
    )
  })
})
