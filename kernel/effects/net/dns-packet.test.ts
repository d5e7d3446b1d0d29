import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DNS_TYPE, dnsAnswer, encodeDnsName, parseDnsQuery } from './dns-packet.ts'
import { prepareQuery } from './dns-query.ts'
import { SyntheticAddresses } from './synthetic.ts'
import { permitAll } from './testing/fake-session.ts'

const OPT = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]

function query(name: string, type: number, { edns = false, flags = 0x0100, klass = 1 } = {}): Buffer {
  const head = Buffer.from([0xab, 0xcd, flags >> 8, flags & 255, 0, 1, 0, 0, 0, 0, 0, edns ? 1 : 0])
  return Buffer.concat([head, encodeDnsName(name), Buffer.from([type >> 8, type & 255, klass >> 8, klass & 255, ...(edns ? OPT : [])])])
}

function answerTo(packet: Uint8Array, synthetic = new SyntheticAddresses()): Uint8Array {
  const { result } = prepareQuery(packet, synthetic).execute(permitAll()) as { result: [Uint8Array] }
  return result[0]
}

describe('questions', () => {
  test('name and type as they came', () => {
    expect(parseDnsQuery(query('Api.Example.com', 1))).toMatchObject({ name: 'Api.Example.com', type: 1, edns: false })
    expect(parseDnsQuery(query('x', 28, { edns: true }))).toMatchObject({ name: 'x', type: 28, edns: true })
  })

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['half a header', query('a.b', 1).subarray(0, 9)],
    ['a cut name', query('a.b', 1).subarray(0, 14)],
    ['a cut question', query('a.b', 1).subarray(0, -1)],
    ['bytes behind', Buffer.concat([query('a.b', 1), Buffer.from([1])])],
    ['an answer', query('a.b', 1, { flags: 0x8180 })],
    ['a pointer', Buffer.concat([query('a', 1).subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])])],
    ['another class', query('a.b', 1, { klass: 3 })],
    ['another kind', query('a.b', 1, { flags: 0x2800 })],
    [
      'a name of 256 bytes',
      query(
        Array.from({ length: 127 }, () => 'a')
          .concat('bb')
          .join('.'),
        1,
      ),
    ],
    ['a cut option', query('a.b', 1, { edns: true }).subarray(0, -1)],
  ])('%s is refused', (_name, packet) => {
    expect(() => parseDnsQuery(packet)).toThrow()
  })

  test('the longest name is read', () => {
    const name = Array.from({ length: 127 }, () => 'a').join('.')
    expect(parseDnsQuery(query(name, 1)).name).toBe(name)
  })

  test('a dot or a control byte inside a label is no host', () => {
    const packet = query('a_b', 1)
    packet[14] = 0x2e
    expect(parseDnsQuery(packet).name).toBeNull()
    packet[14] = 0x07
    expect(parseDnsQuery(packet).name).toBeNull()
  })

  test('seeded noise and damage end in an error or a query, never otherwise', () => {
    const good = query('some.name.example', 1, { edns: true })
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 5 }), fc.nat(good.length), (changes, length) => {
        const packet = Uint8Array.from(good.subarray(0, length))
        for (const [at, value] of changes) if (at < packet.length) packet[at] = value
        try {
          expect(parseDnsQuery(packet).head.length).toBeLessThanOrEqual(packet.length)
        } catch (error) {
          expect((error as { code: string }).code).toMatch(/^E_(CONFLICT|UNSUPPORTED)$/)
        }
      }),
      { seed: 4, numRuns: 5000 },
    )
  })
})

describe('answers', () => {
  test('A is the synthetic address, with the id, the question and RD of the query', () => {
    const packet = query('Api.Example.com', DNS_TYPE.A)
    const answer = answerTo(packet)
    expect(Buffer.from(answer.subarray(0, 2)).toString('hex')).toBe('abcd')
    expect(Buffer.from(answer.subarray(2, 12)).toString('hex')).toBe('81800001000100000000')
    expect(Buffer.from(answer.subarray(12, packet.length)).equals(packet.subarray(12))).toBe(true)
    expect([...answer.subarray(-4)]).toEqual([198, 18, 0, 1])
  })

  test.each([28, 65, 64, 5, 16, 15, 33])('type %i exists and is empty', (type) => {
    const packet = query('api.example.com', type, { edns: true })
    const answer = answerTo(packet)
    expect(Buffer.from(answer.subarray(2, 12)).toString('hex')).toBe('81800001000000000001')
    expect(answer.length).toBe(packet.length)
  })

  test('backwards it gives the name', () => {
    const synthetic = new SyntheticAddresses()
    answerTo(query('api.example.com', 1), synthetic)
    const answer = answerTo(query('1.0.18.198.in-addr.arpa', 12), synthetic)
    expect(Buffer.from(answer).includes(Buffer.from(encodeDnsName('api.example.com')))).toBe(true)
  })

  test('backwards there is nothing else, and nobody is asked', () => {
    for (const name of ['1.0.0.127.in-addr.arpa', '9.9.18.198.in-addr.arpa', 'api.example.com', '999.0.18.198.in-addr.arpa'])
      expect(() => prepareQuery(query(name, 12), new SyntheticAddresses())).toThrow(expect.objectContaining({ code: 'E_NOT_FOUND' }))
  })

  test('policy is asked about the name in its one form', () => {
    const effect = prepareQuery(query('WWW.Example.COM', 1), new SyntheticAddresses())
    expect(effect.requested).toEqual([{ action: 'net.dns', object: 'www.example.com' }])
  })

  test('without RD in the query there is none in the answer', () => {
    const parsed = parseDnsQuery(query('a.b', 1, { flags: 0 }))
    expect(Buffer.from(dnsAnswer(parsed, [], 60).subarray(2, 4)).toString('hex')).toBe('8080')
  })
})
