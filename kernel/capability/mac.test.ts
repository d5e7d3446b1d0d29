import { createHash, createHmac, hkdfSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { attenuate, lastBlockId, seal } from './attenuate.ts'
import { decodeBase64url, encodeBase64url } from './base64url.ts'
import { deriveRunKey, keyIdOf } from './keys.ts'
import { portableMac } from './mac.ts'
import { bunMac } from './mac-bun.ts'
import { GRANTS, INSTALLATION, NOW, RUN, SECRET, testStage } from './testing/index.ts'

const bytes = (maxLength: number) => fc.uint8Array({ maxLength })
const key = fc.uint8Array({ minLength: 32, maxLength: 32 })

describe('the native and the portable MAC are each other’s oracle', () => {
  test('HMAC and SHA-256 of anything, in one part or two', () => {
    fc.assert(
      fc.property(fc.oneof(key, fc.uint8Array({ minLength: 1, maxLength: 80 })), bytes(300), bytes(5000), (k, head, body) => {
        const expected = createHmac('sha256', k).update(head).update(body).digest()
        for (const mac of [bunMac, portableMac]) {
          expect(Buffer.from(mac.hmac(k, head, body))).toEqual(expected)
          expect(Buffer.from(mac.hmac(k, head))).toEqual(createHmac('sha256', k).update(head).digest())
          expect(Buffer.from(mac.digest(head))).toEqual(createHash('sha256').update(head).digest())
        }
      }),
      { numRuns: 100 },
    )
  })

  test('a chain: each value the key of the next, by name and compared, whatever was computed before', () => {
    const step = fc.record({ head: bytes(8), body: bytes(200), label: bytes(4), between: fc.boolean() })
    fc.assert(
      fc.property(key, fc.array(step, { minLength: 1, maxLength: 6 }), (k, steps) => {
        for (const { chain, hmac } of [bunMac, portableMac]) {
          let expected = Buffer.from(k)
          if (steps[0]?.between) hmac(k, k)
          chain.begin(k)
          for (const { head, body, label } of steps) {
            chain.next(head, Uint8Array.of(9, ...body, 9), 1, 1 + body.length)
            expected = createHmac('sha256', expected).update(head).update(body).digest()
            expect(chain.name(label)).toBe(createHash('sha256').update(label).update(expected).digest('hex').slice(0, 32))
            expect(chain.equals(Uint8Array.of(7, ...expected), 1)).toBe(true)
            expect(
              chain.equals(
                expected.map((byte, at) => (at === body.length % 32 ? byte ^ 1 : byte)),
                0,
              ),
            ).toBe(false)
            expect(chain.equals(expected, 1)).toBe(false)
          }
        }
      }),
    )
  })

  test('the gate’s chain begins with a key of 32 bytes or not at all', () => {
    for (const length of [0, 16, 31, 33, 64]) expect(() => bunMac.chain.begin(new Uint8Array(length))).toThrow(RangeError)
  })

  test('comparison: equal only when every byte and the length are', () => {
    fc.assert(
      fc.property(key, fc.nat(31), fc.integer({ min: 1, max: 255 }), (a, at, change) => {
        const b = a.slice()
        for (const mac of [bunMac, portableMac]) {
          expect(mac.equal(a, b)).toBe(true)
          expect(mac.equal(a, a.subarray(1))).toBe(false)
        }
        b[at] = (b[at] ?? 0) ^ change
        for (const mac of [bunMac, portableMac]) expect(mac.equal(a, b)).toBe(false)
      }),
    )
  })

  test('a token is what FORMAT.md says, computed by node:crypto from its bytes alone', () => {
    const { stage } = testStage()
    const root = stage.mint(GRANTS, { notBefore: NOW, expires: NOW + 1000 })
    const hmac = (k: Uint8Array, ...parts: Uint8Array[]): Buffer => createHmac('sha256', k).update(Buffer.concat(parts)).digest()
    const name = Buffer.from(INSTALLATION)
    const info = Buffer.concat([Buffer.from('authority/cap/v1'), Buffer.of(name.length), name, Buffer.from(RUN, 'hex')])
    const whole = Buffer.from(root.slice('cap1_'.length), 'base64url')
    const rootTag = hmac(Buffer.from(hkdfSync('sha256', SECRET, '', info, 32)), Buffer.from('cap1'), whole.subarray(0, -32))
    expect(whole.subarray(-32)).toEqual(rootTag)
    const child = Buffer.from(attenuate(root, { tools: ['search', 's'.repeat(300)] }, bunMac).slice('cap1_'.length), 'base64url')
    const block = child.subarray(whole.length - 32, -32)
    const length = Buffer.alloc(4)
    length.writeUInt32BE(block.length - 3)
    expect(child.subarray(-32)).toEqual(hmac(rootTag, Buffer.of(1), length, block.subarray(2)))
    expect(lastBlockId(root, bunMac)).toBe(createHash('sha256').update('id').update(rootTag).digest('hex').slice(0, 32))
  })

  test('tokens narrowed and sealed by one are the bytes the other makes, and bind', () => {
    const { stage } = testStage()
    const root = stage.mint(GRANTS, { notBefore: NOW, expires: NOW + 1000 })
    const restriction = { fs: { read: ['/work/ä/**'] }, uses: 3, budget: { bytes: 2 ** 40, calls: 1 } }
    expect(attenuate(root, restriction, bunMac)).toBe(attenuate(root, restriction, portableMac))
    expect(seal(root, bunMac)).toBe(seal(root, portableMac))
    stage.bind('s', attenuate(root, restriction, portableMac))
    expect(testStage({ mac: portableMac }).stage.runToken).toBe(testStage({ mac: bunMac }).stage.runToken)
  })
})

describe('keys', () => {
  const run = Uint8Array.from(Buffer.from(RUN, 'hex'))
  test('K_run is HKDF-SHA256 of the secret under label, installation and run', () => {
    const info = Buffer.concat([Buffer.from('authority/cap/v1'), Buffer.of(3), Buffer.from('abc'), run])
    expect(Buffer.from(deriveRunKey(SECRET, 'abc', run))).toEqual(Buffer.from(hkdfSync('sha256', SECRET, Buffer.alloc(0), info, 32)))
  })
  test('differs with each of them, and the boundary between installation and run cannot be shifted', () => {
    const of = (installation: string, id: Uint8Array) => Buffer.from(deriveRunKey(SECRET, installation, id)).toString('hex')
    const keys = [
      of('a', run),
      of('b', run),
      of(
        'a',
        run.map((byte) => byte ^ 1),
      ),
      of('a\0', run),
      of(`a${String.fromCharCode(run[0] ?? 0)}`, run.subarray(1)),
    ]
    expect(new Set(keys).size).toBe(keys.length)
  })
  test('the id of a key does not tell the key; secrets of another size are refused', () => {
    expect(keyIdOf(deriveRunKey(SECRET, 'a', run))).toHaveLength(8)
    expect(() => deriveRunKey(new Uint8Array(31), 'a', run)).toThrow(RangeError)
  })
})

describe('base64url', () => {
  test('is what Buffer writes, and reads back', () => {
    fc.assert(
      fc.property(bytes(200), (value) => {
        const text = encodeBase64url(value)
        expect(text).toBe(Buffer.from(value).toString('base64url'))
        expect(decodeBase64url(text)).toEqual(value)
      }),
    )
  })
  test('whatever it accepts it would have written: no two texts for one value', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'AZaz09-_+/= \n\u00e9'), maxLength: 12 }), (text) => {
        const decoded = decodeBase64url(text)
        if (decoded !== null) expect(encodeBase64url(decoded)).toBe(text)
      }),
      { numRuns: 2000 },
    )
  })
})
