import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32c } from './crc32c.ts'
import { frameBytes, readFrame, writeFrame } from './frame.ts'
import { MAX_PAYLOAD_BYTES } from './limits.ts'
import { CompactRange, leafHash } from './merkle.ts'
import { decodeHeader, encodeHeader } from './segment.ts'

const SALT = crc32c(Uint8Array.from({ length: 16 }, (_, i) => i))
const payloads = fc.uint8Array({ minLength: 2, maxLength: 300 })

function framed(payload: Uint8Array, seq = 5, back = 2): Uint8Array {
  const bytes = new Uint8Array(frameBytes(payload.length))
  writeFrame(bytes, 0, { seq, back, chain: new Uint8Array(32).fill(7), payload }, SALT)
  return bytes
}

describe('frames', () => {
  it('read back as written, always a multiple of 8 bytes', () => {
    fc.assert(
      fc.property(payloads, fc.maxSafeNat(), fc.nat(65_535), (payload, seq, back) => {
        const bytes = framed(payload, seq, back)
        expect(bytes.length % 8).toBe(0)
        expect(readFrame(bytes, 0, SALT)).toEqual({ seq, back, chain: new Uint8Array(32).fill(7), payload, bytes: bytes.length })
      }),
    )
  })

  it('are not whole with any bit changed, any end missing, or another salt', () => {
    fc.assert(
      fc.property(payloads, fc.nat(), fc.nat(7), (payload, at, bit) => {
        const bytes = framed(payload)
        const place = at % bytes.length
        expect(readFrame(bytes.subarray(0, place), 0, SALT)).toBe(null)
        expect(readFrame(bytes, 0, SALT + 1)).toBe(null)
        bytes[place] = (bytes[place] ?? 0) ^ (1 << bit)
        expect(readFrame(bytes, 0, SALT)).toBe(null)
      }),
    )
  })

  it('refuse lengths no record has before looking further', () => {
    const bytes = new Uint8Array(frameBytes(MAX_PAYLOAD_BYTES) + 64)
    for (const length of [0, 1, MAX_PAYLOAD_BYTES + 1, 65_535]) {
      new DataView(bytes.buffer).setUint16(0, length)
      expect(readFrame(bytes, 0, SALT)).toBe(null)
    }
  })
})

describe('segment headers', () => {
  const range = new CompactRange()
  for (let i = 0; i < 11; i++) range.append(leafHash(Uint8Array.of(i)))
  const header = {
    origin: 'authority/x/run/y',
    logId: new Uint8Array(16).fill(1),
    number: 3,
    firstSeq: 11,
    salt: new Uint8Array(16).fill(2),
    previous: new Uint8Array(32).fill(3),
    chain: new Uint8Array(32).fill(4),
    range,
  }

  it('read back as written', () => {
    const back = decodeHeader(encodeHeader(header))
    expect({ ...back, range: null }).toEqual({ ...header, range: null })
    expect(back.range.hashes).toEqual(range.hashes)
  })

  it('refuse every changed byte', () => {
    const bytes = encodeHeader(header)
    for (let i = 0; i < bytes.length; i++) {
      bytes[i] = (bytes[i] ?? 0) ^ 0x20
      expect(() => decodeHeader(bytes)).toThrow(RangeError)
      bytes[i] = (bytes[i] ?? 0) ^ 0x20
    }
  })

  it('name an unknown version', () => {
    const bytes = encodeHeader(header)
    bytes[9] = 2
    expect(() => decodeHeader(bytes)).toThrow('format version 2')
  })
})
