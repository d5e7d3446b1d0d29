import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_PAYLOAD_BYTES } from './limits.ts'
import { Payload, stampOf } from './payload.ts'

const STAMP = { t: '2026-01-31T23:59:59.123Z', boot_ms: 77 }
const stamp = stampOf({ wallMs: () => Date.parse(STAMP.t), monotonicMs: () => STAMP.boot_ms + 0.9 })

function stored(payload: Payload): Buffer {
  const bytes = Buffer.alloc(8 + payload.length)
  payload.copyInto(bytes, 8)
  return bytes.subarray(8)
}

function leafOf(payload: Payload): string {
  const out = new Uint8Array(32)
  payload.leafInto(out)
  return Buffer.from(out).toString('hex')
}

describe('a payload', () => {
  it('is what stringifying the whole record gives, in UTF-8, and its leaf the hash of that, whatever was in its memory before', () => {
    const payload = new Payload()
    const texts = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)), maxLength: 1500 })
    fc.assert(
      fc.property(fc.nat(), texts, fc.dictionary(texts, fc.oneof(texts, fc.double(), fc.constant(null))), (seq, object, detail) => {
        const body = { type: 'GUEST', object, detail }
        payload.encode(seq, stamp(), body)
        const whole = Buffer.from(JSON.stringify({ seq, ...STAMP, ...body }))
        expect(stored(payload)).toEqual(whole)
        expect(leafOf(payload)).toBe(createHash('sha256').update('\0').update(whole).digest('hex'))
      }),
    )
  })

  it('says its own number and time, whichever came before it', () => {
    const payload = new Payload()
    const numbers = fc.oneof(
      fc.nat({ max: 1100 }),
      fc.maxSafeNat(),
      fc.constantFrom(9, 10, 99, 100, 999_999, 1_000_000, Number.MAX_SAFE_INTEGER),
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(numbers, fc.nat({ max: 1 })), { maxLength: 40 }), (records) => {
        for (const [seq, boot_ms] of records) {
          payload.encode(seq, `"boot_ms":${boot_ms}`, { type: 'GUEST' })
          expect(stored(payload).toString()).toBe(JSON.stringify({ seq, boot_ms, type: 'GUEST' }))
        }
      }),
    )
  })

  it('has as many bytes as a record may have and not one more', () => {
    const payload = new Payload()
    payload.encode(0, stamp(), { type: 'GUEST', event: '' })
    const room = MAX_PAYLOAD_BYTES - payload.length
    for (const [unit, bytes] of [
      ['x', 1],
      ['é', 2],
      ['字', 3],
    ] as const) {
      const longest = unit.repeat(Math.floor(room / bytes)) + 'x'.repeat(room % bytes)
      payload.encode(0, stamp(), { type: 'GUEST', event: longest })
      expect(payload.length).toBe(MAX_PAYLOAD_BYTES)
      expect(JSON.parse(stored(payload).toString()).event).toBe(longest)
      expect(() => payload.encode(0, stamp(), { type: 'GUEST', event: `${longest}x` })).toThrow('more than 61440 bytes')
    }
  })
})

describe('the time of a record', () => {
  it('goes on when the wall clock stands still', () => {
    let ms = 5
    const next = stampOf({ wallMs: () => 0, monotonicMs: () => ms++ })
    expect([next(), next()]).toEqual(['"t":"1970-01-01T00:00:00.000Z","boot_ms":5', '"t":"1970-01-01T00:00:00.000Z","boot_ms":6'])
  })
})
