import {
  AuthorityError,
  checkArguments,
  decode,
  encode,
  errorCodeOf,
  LinkReader,
  MAX_FRAME_BYTES,
  type OperationName,
  operationRow,
  parseGateMessage,
  type WireValue,
} from '@authority/protocol'
import { describe, expect, test } from 'vitest'
import { fixture, type Json, revive } from './testing/play.ts'
import { attenuate, type Restriction, seal } from './token/index.ts'
import { encodeRestriction } from './token/restriction.ts'

interface Vector {
  readonly [key: string]: Json
}
const read = (file: string): readonly Vector[] => fixture<{ readonly vectors: readonly Vector[] }>(`vectors/${file}.json`).vectors
const bytes = (hex: Json | undefined): Uint8Array => new Uint8Array(Buffer.from(String(hex), 'hex'))
const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex')
const wire = (value: Json | undefined): WireValue => revive(value ?? null, new Map()) as WireValue

function codeOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    if (error instanceof AuthorityError) return error.code
    throw error
  }
  return 'nothing was refused'
}

describe('the wire this client speaks', () => {
  test('values', () => {
    for (const { hex: encoded, value } of read('protocol/values')) {
      expect(hex(encode(wire(value)))).toBe(encoded)
      expect(hex(encode(decode(bytes(encoded))))).toBe(encoded)
    }
  })

  test.each(read('protocol/malformed-values').map((each) => [`${each.why} ${each.hex}`, each] as const))('refuses %s', (_, vector) => {
    expect(codeOf(() => decode(bytes(vector.hex)))).toBe(vector.error)
  })

  test('frames', () => {
    for (const vector of [...read('protocol/frames'), ...read('protocol/malformed-frames')]) {
      const frames: Json[] = []
      const reader = new LinkReader({ maxFrameBytes: MAX_FRAME_BYTES })
      const push = (): void => reader.push(bytes(vector.hex), (session, item) => frames.push([session, hex(item)]))
      expect(codeOf(push)).toBe(vector.error ?? 'nothing was refused')
      expect(frames).toEqual(vector.frames)
    }
  })

  test('messages of a gate', () => {
    for (const { from, hex: item } of read('protocol/messages')) if (from === 'gate') parseGateMessage(bytes(item))
    for (const { from, hex: item, error, why } of read('protocol/malformed-messages'))
      if (from === 'gate') expect([why, codeOf(() => parseGateMessage(bytes(item)))]).toEqual([why, error])
  })

  test('arguments and results', () => {
    for (const { operation, code, args, argsHex, result, resultHex } of read('protocol/operations')) {
      const row = operationRow(operation as OperationName)
      expect(row.code).toBe(code)
      checkArguments(row.args, wire(args) as readonly WireValue[])
      checkArguments(row.result, wire(result) as readonly WireValue[])
      expect([hex(encode(wire(args))), hex(encode(wire(result)))]).toEqual([argsHex, resultHex])
    }
    for (const { operation, args, error, why } of read('protocol/malformed-operations'))
      expect([
        operation,
        why,
        codeOf(() => checkArguments(operationRow(operation as OperationName).args, wire(args) as readonly WireValue[])),
      ]).toEqual([operation, why, error])
  })

  test('every error number has its name', () => {
    expect(errorCodeOf(20)).toBe('E_POLICY_DENY')
  })
})

describe('capability tokens', () => {
  test.each(read('capability/narrowing').map((each) => [each.name, each] as const))('%s', (_, vector) => {
    const narrow = (): string =>
      vector.seal === true
        ? seal(String(vector.parent))
        : attenuate(String(vector.parent), (vector.restriction ?? JSON.parse(String(vector.restriction_json))) as Restriction)
    if (vector.error === undefined) expect(narrow()).toBe(vector.token)
    else expect(codeOf(narrow)).toBe(vector.error)
  })

  test.each(
    read('capability/malformed')
      .filter((each) => each.seen_by === 'format')
      .map((each) => [each.name, each] as const),
  )('refuses to narrow: %s', (_, vector) => {
    expect(codeOf(() => attenuate(String(vector.token), { uses: 1 }))).toBe(vector.error)
    expect(codeOf(() => seal(String(vector.token)))).toBe(vector.error)
  })

  test('every genuine token can be sealed', () => {
    for (const { token } of read('capability/tokens')) expect(seal(String(token))).toMatch(/^cap1_/)
  })

  test('ttl is an expiry from now, and not beside one', () => {
    const [root] = read('capability/tokens')
    const token = String(root?.token)
    for (const [ttl, ms] of [
      ['90s', 90_000],
      ['5m', 300_000],
      ['2h', 7_200_000],
      ['1d', 86_400_000],
      [1234, 1234],
    ] as const)
      expect(encodeRestriction({ ttl }, 1_000_000)).toEqual(encodeRestriction({ expires: 1_000_000 + ms }, 0))
    expect(codeOf(() => attenuate(token, { ttl: '5m', expires: 1 }))).toBe('E_CAP_INVALID')
    for (const ttl of ['5', '5 m', '-5m', '1e3ms', '', 0, -1, 1.5, Number.NaN])
      expect(codeOf(() => attenuate(token, { ttl }))).toBe('E_CAP_INVALID')
  })
})
