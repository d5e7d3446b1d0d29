import { type Answer, encode } from 'dns-packet'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { answering } from '../testing/dns-server.ts'
import { ADDRESS_TYPES, type AddressQuestion, encodeAddressQuestion, readAddressAnswer } from './answer.ts'

const QUESTION: AddressQuestion = { id: 0x1234, name: 'api.example.com', type: ADDRESS_TYPES.A }
const ASKED = { id: QUESTION.id, name: QUESTION.name, type: 'A', over: 'udp' } as const
const a = (name: string, data: string): Answer => ({ type: 'A', name, data })
const alias = (name: string, data: string): Answer => ({ type: 'CNAME', name, data })
const read = (packet: Uint8Array) => readAddressAnswer(packet, QUESTION)

describe('an answer about the name that was asked', () => {
  test('gives its addresses, in order', () => {
    const answers = [a('api.example.com', '192.0.2.1'), a('API.Example.COM', '192.0.2.2')]
    expect(read(answering(ASKED, answers))).toEqual({ kind: 'addresses', addresses: ['192.0.2.1', '192.0.2.2'] })
  })

  test('of sixteen bytes too', () => {
    const packet = answering({ ...ASKED, type: 'AAAA' }, [{ type: 'AAAA', name: 'api.example.com', data: '2001:db8::ffff:1' }])
    const six = { ...QUESTION, type: ADDRESS_TYPES.AAAA }
    expect(readAddressAnswer(packet, six)).toEqual({ kind: 'addresses', addresses: ['2001:db8:0:0:0:0:ffff:1'] })
    // An answer to the other question is none.
    expect(read(packet)).toBeNull()
  })

  test('follows aliases in whatever order they come', () => {
    const answers = [a('c.example', '192.0.2.9'), alias('b.example', 'c.example'), alias('api.example.com', 'b.example')]
    expect(read(answering(ASKED, answers))).toEqual({ kind: 'addresses', addresses: ['192.0.2.9'] })
  })

  test('does not count what is off the way: other names, other sections, other types', () => {
    const packet = answering(ASKED, [a('other.example', '192.0.2.1')], {
      authorities: [a('api.example.com', '192.0.2.2')],
      additionals: [a('api.example.com', '192.0.2.3')],
    })
    expect(read(packet)).toEqual({ kind: 'addresses', addresses: [] })
    const crossed = [alias('api.example.com', 'b.example'), a('api.example.com', '192.0.2.4'), a('b.example', '192.0.2.5')]
    expect(read(answering(ASKED, crossed))).toEqual({ kind: 'addresses', addresses: ['192.0.2.5'] })
  })

  test.each([
    [3, { kind: 'no such name' }],
    [2, { kind: 'refused', rcode: 2 }],
    [5, { kind: 'refused', rcode: 5 }],
  ])('code %i', (rcode, expected) => expect(read(answering(ASKED, [], { flags: 0x0180 | rcode }))).toEqual(expected))

  test('says that it was cut', () => expect(read(answering(ASKED, [], { flags: 0x0380 }))).toEqual({ kind: 'truncated' }))
})

describe('what is no answer to the question', () => {
  test.each([
    ['another id', answering({ ...ASKED, id: 0x1235 }, [a(ASKED.name, '192.0.2.1')])],
    ['another name', answering({ ...ASKED, name: 'api.example.org' }, [a(ASKED.name, '192.0.2.1')])],
    ['a longer name', answering({ ...ASKED, name: 'api.example.com.evil' }, [a(ASKED.name, '192.0.2.1')])],
    ['another type', answering({ ...ASKED, type: 'TXT' }, [a(ASKED.name, '192.0.2.1')])],
    ['no question', answering(ASKED, [a(ASKED.name, '192.0.2.1')], { questions: [] })],
    ['a query', encode({ type: 'query', id: ASKED.id, questions: [{ type: 'A', name: ASKED.name }] })],
    ['nothing', new Uint8Array(0)],
    ['half a header', answering(ASKED, []).subarray(0, 11)],
    ['a cut question', answering(ASKED, []).subarray(0, -1)],
  ])('%s', (_what, packet) => expect(read(packet)).toBeNull())
})

describe('an answer that cannot be believed', () => {
  const chain = (length: number): Answer[] => [
    alias(ASKED.name, 'n0.example'),
    ...Array.from({ length }, (_, i) => alias(`n${i}.example`, `n${i + 1}.example`)),
    a(`n${length}.example`, '192.0.2.1'),
  ]
  const raw = (...record: number[]): Uint8Array => {
    const packet = Buffer.concat([answering(ASKED, []), Buffer.from(record)])
    packet.writeUInt16BE(1, 6)
    return packet
  }

  test('a chain of aliases is followed only so far', () => {
    expect(read(answering(ASKED, chain(11)))).toEqual({ kind: 'addresses', addresses: ['192.0.2.1'] })
    expect(() => read(answering(ASKED, chain(12)))).toThrow(/more than 12 aliases/)
  })

  test.each([
    ['aliases in a circle', answering(ASKED, [alias(ASKED.name, 'b.example'), alias('b.example', ASKED.name)])],
    ['an alias of itself', answering(ASKED, [alias(ASKED.name, ASKED.name)])],
    ['two aliases of one name', answering(ASKED, [alias(ASKED.name, 'b.example'), alias(ASKED.name, 'c.example')])],
    [
      'more records than are read',
      answering(
        ASKED,
        Array.from({ length: 257 }, () => a(ASKED.name, '192.0.2.1')),
      ),
    ],
    ['a name that points at itself', raw(0xc0, 33, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4)],
    ['a name that points ahead', raw(0xc0, 40, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4)],
    ['a name that points into the header', raw(0xc0, 2, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4)],
    ['a label of 64 bytes', raw(0x40, 40, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4)],
    ['an address of three bytes', raw(0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 3, 1, 2, 3)],
    ['data that is cut', raw(0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 9, 1, 2, 3, 4)],
    ['a record that is cut', raw(0xc0, 12, 0, 1, 0, 1)],
    ['fewer records than it says', answering(ASKED, []).map((byte, i) => (i === 7 ? 1 : byte))],
  ])('%s', (_what, packet) => expect(() => read(packet)).toThrow(expect.objectContaining({ code: 'E_UPSTREAM' })))

  test('a dot inside a label is no border between labels', () => {
    // `api.example.com` as one label of 15 bytes: another name, which nobody asked for.
    const owner = [15, ...Buffer.from('api.example.com'), 0]
    expect(read(raw(...owner, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4))).toEqual({ kind: 'addresses', addresses: [] })
  })

  test.each([
    [15, true],
    [16, false],
    [8000, false],
  ])('a name of %i pointers, each to the one before, ends: %j', (length, ends) => {
    // The data of a first record is the chain, its beginning the name of the question; the name of a second one enters at its end.
    const start = answering(ASKED, []).length + 12
    const chain = Buffer.alloc(2 * length)
    for (let i = 0; i < length; i++) chain.writeUInt16BE(0xc000 | (i === 0 ? 12 : start + 2 * (i - 1)), 2 * i)
    const first = [0xc0, 12, 0, 99, 0, 1, 0, 0, 0, 0, chain.length >> 8, chain.length & 255]
    const last = 0xc000 | (start + 2 * (length - 1))
    const second = [last >> 8, last & 255, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 1]
    const packet = Buffer.concat([answering(ASKED, []), Buffer.from(first), chain, Buffer.from(second)])
    packet.writeUInt16BE(2, 6)
    if (ends) expect(read(packet)).toEqual({ kind: 'addresses', addresses: ['192.0.2.1'] })
    else expect(() => read(packet)).toThrow(/leads astray/)
  })
})

test('seeded damage ends in an answer, in none, or in an error, never otherwise; addresses are addresses', () => {
  const good = answering(ASKED, [alias(ASKED.name, 'b.example'), a('b.example', '192.0.2.1'), a('b.example', '192.0.2.2')])
  const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255))
  fc.assert(
    fc.property(fc.array(change, { maxLength: 6 }), fc.nat(good.length), (changes, length) => {
      const packet = Uint8Array.from(good.subarray(0, length < 20 ? length : good.length))
      for (const [at, value] of changes) if (at < packet.length) packet[at] = value
      try {
        const answer = read(packet)
        if (answer?.kind === 'addresses') for (const address of answer.addresses) expect(address).toMatch(/^\d+\.\d+\.\d+\.\d+$/)
      } catch (error) {
        expect((error as { code: string }).code).toBe('E_UPSTREAM')
      }
    }),
    { seed: 4, numRuns: 5000 },
  )
})

test('the question is one any server reads', () => {
  const packet = encodeAddressQuestion(QUESTION)
  expect(
    Buffer.from(packet).equals(encode({ type: 'query', id: 0x1234, flags: 0x0100, questions: [{ type: 'A', name: QUESTION.name }] })),
  ).toBe(true)
})
