import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromJson, hex, type JsonValue, unhex } from '../generate/vectors/json.ts'
import { failureOf, vectors } from '../testing/vectors.ts'
import { decode, encode, type WireValue } from './codec.ts'
import { AuthorityError, ERROR_CODES, errorCodeOf } from './errors.ts'
import { GENERATION, MAX_CHUNK_BYTES, MAX_FIX_BYTES, MAX_MESSAGE_BYTES, MAX_TOKEN_BYTES } from './limits.ts'
import {
  encodeMessage,
  errorOf,
  errorReply,
  itemOf,
  negotiate,
  parseClientMessage,
  parseGateMessage,
  requestArgs,
} from './message-codec.ts'
import { MESSAGES } from './message-schema.ts'
import { type ClientMessage, type GateMessage, MESSAGE } from './messages.ts'

const PARSERS = { client: parseClientMessage, gate: parseGateMessage } as const
type Sender = keyof typeof PARSERS

describe('vectors', () => {
  test.each(
    vectors<{ from: Sender; hex: string; value: JsonValue; meaning: string }>('messages.json').map(
      (vector) => [vector.meaning, vector] as const,
    ),
  )('%s', (_, vector) => {
    const message = PARSERS[vector.from](unhex(vector.hex))
    const value = fromJson(vector.value) as readonly WireValue[]
    // Only the fields a newer generation appended are lost on the way back.
    expect(itemOf(message)).toEqual(value.slice(0, itemOf(message).length))
    expect(decode(unhex(vector.hex))).toEqual(value)
  })

  test.each(
    vectors<{ from: Sender; hex: string; why: string; error: string }>('malformed-messages.json').map(
      (vector) => [`${vector.from}: ${vector.why}`, vector] as const,
    ),
  )('refused from a %s', (_, vector) => {
    expect(failureOf(() => PARSERS[vector.from](unhex(vector.hex))).code).toBe(vector.error)
  })
})

const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })
const stream = fc.integer({ min: 1, max: 0xffffffff })
const code = fc.constantFrom(...Object.values(ERROR_CODES).map((row) => row.code))
const sentence = fc.string({ unit: 'grapheme', maxLength: 60 })
const streamMessage: fc.Arbitrary<ClientMessage & GateMessage> = fc.oneof(
  fc.record({ type: fc.constant(MESSAGE.STREAM_DATA), stream, data: fc.uint8Array({ minLength: 1, maxLength: 100 }) }),
  fc.record({ type: fc.constant(MESSAGE.STREAM_END), stream }),
  fc.record({ type: fc.constant(MESSAGE.STREAM_CREDIT), stream, bytes: stream }),
  fc.record({ type: fc.constant(MESSAGE.STREAM_RESET), stream, code, message: sentence }),
)
const clientMessage: fc.Arbitrary<ClientMessage> = fc.oneof(
  streamMessage,
  fc.record({
    type: fc.constant(MESSAGE.HELLO),
    version: fc.constant(1),
    generation: fc.constant(1),
    client: sentence,
    token: fc.option(fc.string({ unit: 'binary-ascii', maxLength: 100 })),
  }),
  fc.record({
    type: fc.constant(MESSAGE.REQUEST),
    id,
    operation: fc.nat(0xffff),
    deadlineMs: fc.nat(600_000),
    handle: fc.nat(0xffffffff),
    args: fc.array(fc.oneof(fc.nat(), sentence, fc.boolean(), fc.constant(null)), { maxLength: 6 }),
  }),
  fc.record({ type: fc.constant(MESSAGE.CANCEL), id }),
)
const gateMessage: fc.Arbitrary<GateMessage> = fc.oneof(
  streamMessage,
  fc.record({
    type: fc.constant(MESSAGE.WELCOME),
    version: fc.constant(1),
    generation: fc.constant(1),
    run: fc.string({ unit: 'binary-ascii', maxLength: 64 }),
    maxInFlight: fc.integer({ min: 1, max: 256 }),
    maxStreams: fc.integer({ min: 1, max: 256 }),
    streamCredit: fc.nat(0xffffffff),
    handle: fc.nat(0xffffffff),
  }),
  fc.record({ type: fc.constant(MESSAGE.RESULT), id, result: fc.array(fc.nat(), { maxLength: 4 }) }),
  fc.record({
    type: fc.constant(MESSAGE.ERROR),
    id,
    code,
    message: sentence,
    errno: fc.constant('EACCES'),
    denial: fc.option(fc.record({ permission: fc.constant('fs.read'), object: sentence, fix: sentence, seq: fc.nat() })),
  }),
  fc.record({ type: fc.constant(MESSAGE.GOODBYE), code, message: sentence }),
)

describe('messages', () => {
  test('what a client writes the gate reads, and the other way round', () => {
    fc.assert(
      fc.property(clientMessage, (message) => {
        expect(parseClientMessage(encode(itemOf(message)))).toEqual(message)
      }),
    )
    fc.assert(
      fc.property(gateMessage, (message) => {
        expect(parseGateMessage(encode(itemOf(message)))).toEqual(message)
      }),
    )
  })

  test('a message is one frame of its session', () => {
    expect(hex(encodeMessage(3, { type: MESSAGE.CANCEL, id: 7 }))).toBe('0000000700000003820607')
  })

  test('every message has one schema row with its own number', () => {
    for (const [name, row] of Object.entries(MESSAGES)) expect(row.number).toBe(MESSAGE[name as keyof typeof MESSAGE])
    expect(new Set(Object.values(MESSAGE)).size).toBe(Object.keys(MESSAGE).length)
  })

  test('bounds too long for a vector', () => {
    const hello = (token: string): Uint8Array => encode([MESSAGE.HELLO, 1, 1, 'c', token])
    expect(parseClientMessage(hello('a'.repeat(MAX_TOKEN_BYTES))).type).toBe(MESSAGE.HELLO)
    expect(failureOf(() => parseClientMessage(hello('a'.repeat(MAX_TOKEN_BYTES + 1)))).code).toBe('E_PROTOCOL')
    const data = (size: number): Uint8Array => encode([MESSAGE.STREAM_DATA, 1, new Uint8Array(size)])
    expect(parseClientMessage(data(MAX_CHUNK_BYTES)).type).toBe(MESSAGE.STREAM_DATA)
    expect(failureOf(() => parseClientMessage(data(MAX_CHUNK_BYTES + 1))).code).toBe('E_PROTOCOL')
  })
})

describe('generations', () => {
  test('the lower one holds', () => {
    expect([negotiate(1), negotiate(GENERATION), negotiate(GENERATION + 5)]).toEqual([1, GENERATION, GENERATION])
  })

  test('appended fields are skipped in the hello of a newer client and nowhere else', () => {
    const hello = parseClientMessage(encode([MESSAGE.HELLO, 1, GENERATION + 1, 'later', null, 'unknown', [1]]))
    expect(hello).toEqual({ type: MESSAGE.HELLO, version: 1, generation: GENERATION + 1, client: 'later', token: null })
    expect(failureOf(() => parseClientMessage(encode([MESSAGE.HELLO, 1, GENERATION, 'now', null, 'unknown']))).code).toBe('E_PROTOCOL')
    expect(failureOf(() => parseClientMessage(encode([MESSAGE.CANCEL, 1, 'unknown']))).code).toBe('E_PROTOCOL')
    // A newer generation never has weaker fields either.
    expect(failureOf(() => parseClientMessage(encode([MESSAGE.HELLO, 1, GENERATION + 1, 7, null]))).code).toBe('E_PROTOCOL')
  })
})

describe('errors', () => {
  test('numbers are unique and found again', () => {
    const numbers = Object.values(ERROR_CODES).map((row) => row.code)
    expect(new Set(numbers).size).toBe(numbers.length)
    for (const [name, row] of Object.entries(ERROR_CODES)) expect(errorCodeOf(row.code)).toBe(name)
    expect(errorCodeOf(0)).toBeUndefined()
  })

  test('a denial survives the way to the client', () => {
    const denial = { permission: 'fs.write', object: '/a', fix: '{}', seq: 4 }
    const error = errorOf(
      errorReply(1, new AuthorityError('E_POLICY_DENY', 'no rule allows it', { denial, errno: 'EPERM', hint: 'for the operator' })),
    )
    expect({ code: error.code, message: error.message, denial: error.denial, errno: error.errno, hint: error.hint }).toEqual({
      code: 'E_POLICY_DENY',
      message: 'no rule allows it',
      denial,
      errno: 'EPERM',
      hint: undefined,
    })
  })

  test('a code of a later generation is E_INTERNAL here, and says its number', () => {
    const error = errorOf({ type: MESSAGE.GOODBYE, code: 999, message: 'later' })
    expect([error.code, error.message]).toEqual(['E_INTERNAL', 'later (unknown error code 999)'])
  })

  test('a sentence too long, or not well-formed, still arrives', () => {
    const deliver = (message: string): string => {
      const parsed = parseGateMessage(encode(itemOf({ type: MESSAGE.GOODBYE, code: 1, message })))
      return parsed.type === MESSAGE.GOODBYE ? parsed.message : ''
    }
    expect(deliver('x'.repeat(MAX_MESSAGE_BYTES + 1))).toBe('x'.repeat(MAX_MESSAGE_BYTES))
    expect(deliver(`${'x'.repeat(MAX_MESSAGE_BYTES - 1)}😀`)).toBe('x'.repeat(MAX_MESSAGE_BYTES - 1))
    expect(deliver('水'.repeat(MAX_MESSAGE_BYTES))).toBe('水'.repeat(Math.floor(MAX_MESSAGE_BYTES / 3)))
    expect(deliver('\ud800!')).toBe('\ufffd!')
  })

  test('a fix too long is left out rather than cut: half a policy is none', () => {
    const denial = { permission: 'fs.read', object: '/a', fix: 'x'.repeat(MAX_FIX_BYTES + 1), seq: 1 }
    const reply = parseGateMessage(encode(itemOf(errorReply(1, new AuthorityError('E_POLICY_DENY', 'no', { denial })))))
    expect(reply.type === MESSAGE.ERROR && reply.denial).toEqual({ ...denial, fix: '' })
  })
})

describe('a request read straight into its fields', () => {
  /** What is neither refused nor accepted differently: the older generation has no shorter way, and the same request. */
  const outcome = (parse: () => unknown): unknown => {
    try {
      return parse()
    } catch (error) {
      return error instanceof AuthorityError ? `${error.code} ${error.message}` : error
    }
  }
  const generally = (item: Uint8Array): unknown => outcome(() => parseClientMessage(item, GENERATION + 1))
  const shortly = (item: Uint8Array): unknown => outcome(() => parseClientMessage(item))
  const number = fc.oneof(
    fc.constantFrom(0, 1, 23, 24, 255, 256, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, Number.MAX_SAFE_INTEGER, -1),
    fc.nat(),
  )
  const value = fc.oneof(number, fc.string(), fc.boolean(), fc.constant(null), fc.uint8Array())
  const item = fc
    .array(fc.oneof(value, fc.array(value)), { minLength: 3, maxLength: 7 })
    .map((fields) => encode([MESSAGE.REQUEST, ...fields] as WireValue))
  const wellFormed = fc
    .tuple(number, number, number, number, fc.array(value))
    .map((fields) => encode([MESSAGE.REQUEST, ...fields] as WireValue))

  test('is the same as any message is read, and so is what is said of one that is wrong', () => {
    fc.assert(
      fc.property(fc.oneof(item, wellFormed), (bytes) => {
        expect(shortly(bytes)).toEqual(generally(bytes))
      }),
      { numRuns: 1000 },
    )
    fc.assert(
      fc.property(wellFormed, fc.nat(200), fc.nat(255), (bytes, at, byte) => {
        const wrong = bytes.slice()
        wrong[at % wrong.length] = byte
        expect(shortly(wrong)).toEqual(generally(wrong))
        expect(shortly(bytes.subarray(0, at % bytes.length))).toEqual(generally(bytes.subarray(0, at % bytes.length)))
        expect(shortly(Buffer.concat([bytes, Buffer.of(byte)]))).toEqual(generally(Buffer.concat([bytes, Buffer.of(byte)])))
      }),
      { numRuns: 1000 },
    )
  })

  test('its arguments are copied as they were received', () => {
    fc.assert(
      fc.property(wellFormed, (bytes) => {
        const request = shortly(bytes)
        if (typeof request === 'string') return
        const args = requestArgs(Buffer.from(bytes))
        expect(hex(args)).toBe(hex(encode((request as { args: WireValue }).args)))
        expect(args.buffer.byteLength).toBe(args.length)
      }),
    )
  })
})
