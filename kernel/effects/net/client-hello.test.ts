import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { readClientHello } from './client-hello.ts'
import { tls as helloOf } from './testing/hello.ts'
import { TlsCheck, tlsCheckFor } from './tls-check.ts'

/** The handshake message of one record, in records of `size` bytes. */
function fragmented(hello: Uint8Array, size: number): Uint8Array {
  const message = hello.subarray(5)
  const parts: Uint8Array[] = []
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size)
    parts.push(Uint8Array.of(22, 3, 1, part.length >> 8, part.length & 255), part)
  }
  return Buffer.concat(parts)
}

let hello: Buffer

beforeAll(async () => {
  hello = await helloOf('api.example.com')
})

describe('the first message of a TLS client', () => {
  test('a real one names its server', () => {
    expect(readClientHello(hello)).toEqual({ state: 'hello', serverName: 'api.example.com' })
  })

  test('a real one without a server name has none', async () => {
    expect(readClientHello(await helloOf(''))).toEqual({ state: 'hello', serverName: null })
  })

  test('every true prefix asks for more', () => {
    for (let length = 0; length < hello.length; length++) expect(readClientHello(hello.subarray(0, length))).toEqual({ state: 'partial' })
  })

  test.each([50, 100, 400])('means the same in records of %i bytes', (size) => {
    expect(readClientHello(fragmented(hello, size))).toEqual({ state: 'hello', serverName: 'api.example.com' })
  })

  test('in hundreds of records it is refused', () => {
    expect(readClientHello(fragmented(hello, 1)).state).toBe('refused')
  })

  test('what follows in further records does not matter', () => {
    expect(readClientHello(Buffer.concat([hello, Buffer.from('anything')])).state).toBe('hello')
  })

  test.each([
    ['HTTP', 'GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n'],
    ['SSH', 'SSH-2.0-x\r\n'],
    ['SSLv2', '\x80\x2e\x01\x03\x01'],
    ['a zero record', '\x16\x03\x01\x00\x00'],
    ['a long record', '\x16\x03\x01\x40\x01'],
    ['another handshake message', '\x16\x03\x01\x00\x04\x02\x00\x00\x00'],
    ['a huge hello', '\x16\x03\x01\x00\x04\x01\xff\xff\xff'],
  ])('%s is refused', (_name, text) => {
    expect(readClientHello(Buffer.from(text, 'latin1')).state).toBe('refused')
  })

  test('seeded damage never throws, and never finds a name that is not there', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }), (changes) => {
        const damaged = Uint8Array.from(hello)
        for (const [at, value] of changes) damaged[at] = value
        const result = readClientHello(damaged)
        if (result.state === 'hello' && result.serverName !== null)
          expect(Buffer.from(damaged).includes(Buffer.from(result.serverName, 'latin1'))).toBe(true)
      }),
      { seed: 4, numRuns: 3000 },
    )
  })

  test('seeded noise behind a record header never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        readClientHello(Buffer.concat([Uint8Array.of(22, 3, 1, 0, noise.length), noise]))
      }),
      { seed: 4, numRuns: 2000 },
    )
  })
})

describe('the check of one connection', () => {
  test('concerns names on ports of TLS', () => {
    expect(tlsCheckFor({ kind: 'name', name: 'a.example', port: 443 })).not.toBeNull()
    expect(tlsCheckFor({ kind: 'name', name: 'a.example', port: 80 })).toBeNull()
    expect(tlsCheckFor({ kind: 'address', address: '192.0.2.1', port: 443 })).toBeNull()
  })

  test('piece by piece, it hands on exactly what came', () => {
    const check = new TlsCheck('api.example.com', 443)
    for (let at = 0; at < hello.length - 1; at += 7)
      expect(check.take(hello.subarray(at, Math.min(at + 7, hello.length - 1))).state).toBe('partial')
    const verdict = check.take(hello.subarray(-1))
    expect(verdict.state === 'pass' && Buffer.from(verdict.held).equals(hello)).toBe(true)
  })

  test('another name, no name and no TLS are refused', async () => {
    expect(new TlsCheck('other.example.com', 443).take(hello)).toMatchObject({ state: 'refused', serverName: 'api.example.com' })
    expect(new TlsCheck('api.example.com', 443).take(await helloOf(''))).toMatchObject({ state: 'refused', serverName: null })
    expect(new TlsCheck('api.example.com', 443).take(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toMatchObject({ state: 'refused' })
  })

  test('letter case and a spelling of the same name do not matter', async () => {
    expect(new TlsCheck('api.example.com', 443).take(await helloOf('API.Example.COM')).state).toBe('pass')
  })

  test('endless bytes without a hello are refused', () => {
    const check = new TlsCheck('a.example', 443)
    const record = Buffer.concat([Uint8Array.of(22, 3, 1, 0x3f, 0xff), Buffer.alloc(0x3fff, 1)])
    let state = 'partial'
    for (let i = 0; i < 10 && state === 'partial'; i++) ({ state } = check.take(record))
    expect(state).toBe('refused')
  })
})
