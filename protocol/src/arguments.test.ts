import { describe, expect, test } from 'vitest'
import { fromJson, hex, type JsonValue } from '../generate/vectors/json.ts'
import { failureOf, vectors } from '../testing/vectors.ts'
import { checkArguments, fieldsIn } from './arguments.ts'
import { encode, type WireValue } from './codec.ts'
import { OPERATIONS, type OperationName, operationOf, operationRow } from './operations.ts'
import { bool, bytes, field, list, optional, text, tuple, uint, values } from './schema.ts'

describe('operations', () => {
  test.each(
    vectors<{ operation: OperationName; code: number; args: JsonValue; argsHex: string; result: JsonValue; resultHex: string }>(
      'operations.json',
    ),
  )('$operation accepts what it declares', (vector) => {
    const row = operationRow(vector.operation)
    const args = fromJson(vector.args) as readonly WireValue[]
    const result = fromJson(vector.result) as readonly WireValue[]
    checkArguments(row.args, args, vector.operation)
    checkArguments(row.result, result, vector.operation)
    expect([hex(encode(args)), hex(encode(result))]).toEqual([vector.argsHex, vector.resultHex])
    expect(operationOf(vector.code)).toBe(vector.operation)
  })

  test.each(vectors<{ operation: OperationName; args: JsonValue; why: string; error: string }>('malformed-operations.json'))(
    '$operation refuses $why',
    (vector) => {
      const failure = failureOf(() =>
        checkArguments(operationRow(vector.operation).args, fromJson(vector.args) as readonly WireValue[], vector.operation),
      )
      expect(failure.code).toBe(vector.error)
      expect(failure.message).toContain(vector.operation)
    },
  )

  test('codes are unique and fit the wire', () => {
    const codes = Object.values(OPERATIONS).map((row) => row.code)
    expect(new Set(codes).size).toBe(codes.length)
    for (const code of codes) expect(code).toBeGreaterThan(0)
    for (const code of codes) expect(code).toBeLessThan(0xffff)
  })

  test('nothing that changes the world goes without a permission, except what has no policy section yet', () => {
    const without = Object.entries(OPERATIONS)
      .filter(([, row]) => row.class === 'change' && row.action === null)
      .map(([name]) => name)
    expect(without).toEqual(['state.put', 'agent.spawn'])
  })
})

describe('checkArguments', () => {
  const refuse = (type: Parameters<typeof field>[1], value: WireValue): string =>
    failureOf(() => checkArguments([field('it', type, '')], [value], 'test')).message

  test('names operation, field and cause', () => {
    expect(refuse(text(4), 7)).toBe('test: field `it` must be a text string, not an integer')
    expect(refuse(uint(), -7)).toBe('test: field `it` must be an unsigned integer, not a negative integer')
    expect(refuse(list(text(2), 3), ['a', 'bcd'])).toBe('test: field `it`[1] is longer than 2 bytes')
    expect(refuse(tuple(field('x', bool, ''), field('y', bytes(2), '')), [true, 'a'])).toBe(
      'test: field `it`.y must be a byte string, not a text string',
    )
    expect(refuse(optional(uint(3)), 4)).toBe('test: field `it` is 4, above 3')
    expect(refuse(uint(9, 3), 2)).toBe('test: field `it` is 2, below 3')
    expect(refuse(bytes(4, 4), Uint8Array.of(1))).toBe('test: field `it` has 1 bytes, at least 4 are needed')
    expect(refuse(values(1), [1, 2])).toBe('test: field `it` has 2 elements, 1 are allowed')
    expect(refuse(list(bool, 1), [true, true])).toBe('test: field `it` has 2 elements, 1 are allowed')
  })

  test('never repeats a value that could be a secret or an attack on a terminal', () => {
    expect(refuse(text(3), 'secret\u001b[2J')).not.toContain('secret')
  })

  test('counts bytes of UTF-8, not characters', () => {
    for (const [value, size] of [
      ['aaaa', 4],
      ['éé', 4],
      ['水', 3],
      ['😀', 4],
    ] as const) {
      checkArguments([field('it', text(size), '')], [value])
      expect(failureOf(() => checkArguments([field('it', text(size - 1), '')], [value])).code).toBe('E_PROTOCOL')
    }
  })

  test('wrong arity names the fields there are', () => {
    const failure = failureOf(() => checkArguments(OPERATIONS['fs.stat'].args, [], 'fs.stat'))
    expect(failure.message).toBe('fs.stat: 0 fields where 1 are declared')
    expect(failure.hint).toBe('its fields are: path')
  })

  test('a field appended in a later generation is not expected before', () => {
    const fields = [{ ...field('old', bool, ''), since: 0 }, field('new', bool, '')]
    expect(fieldsIn(fields, 0).map((one) => one.name)).toEqual(['old'])
    checkArguments(fields, [true], 'test', 0)
    expect(failureOf(() => checkArguments(fields, [true], 'test', 1)).message).toBe('test: 1 fields where 2 are declared')
    expect(failureOf(() => checkArguments(fields, [true, true], 'test', 0)).message).toBe('test: 2 fields where 1 are declared')
  })
})
