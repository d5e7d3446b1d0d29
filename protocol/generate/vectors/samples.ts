import type { Field, FieldType } from '../../src/schema.ts'
import type { WireValue } from '../../src/value.ts'

/** A plain value of a type, the same each time: what an operation's or message's vector carries. */
export function sample(field: Field): WireValue {
  return sampleOf(field.type, field.name)
}

function sampleOf(type: FieldType, name: string): WireValue {
  switch (type.kind) {
    case 'text':
      return sampleText(name).slice(0, type.maxBytes)
    case 'bytes':
      return new Uint8Array(Math.max(type.minBytes ?? 0, Math.min(3, type.maxBytes))).fill(0xa5)
    case 'uint':
      return Math.max(type.min ?? 0, Math.min(type.max, 1))
    case 'int':
      return -1
    case 'bool':
      return true
    case 'optional':
      return sampleOf(type.of, name)
    case 'list':
      return [sampleOf(type.of, name)]
    case 'tuple':
      return type.of.map(sample)
    case 'values':
      return [1, 'two']
  }
}

function sampleText(name: string): string {
  switch (name) {
    case 'path':
    case 'from':
    case 'cwd':
      return '/work/notes.txt'
    case 'to':
    case 'target':
      return '/work/notes.old'
    case 'url':
      return 'https://example.org/'
    case 'host':
      return 'example.org'
    default:
      return name
  }
}

/** Values a type refuses, each with the reason. */
export function refusals(type: FieldType): readonly (readonly [WireValue, string])[] {
  switch (type.kind) {
    case 'text':
      return [[1, 'an integer for a text'], ...sized(type.maxBytes, type.minBytes ?? 0, (n) => 'a'.repeat(n))]
    case 'bytes':
      return [['00', 'a text for a byte string'], ...sized(type.maxBytes, type.minBytes ?? 0, (n) => new Uint8Array(n))]
    case 'uint': {
      const below = type.min === undefined ? [] : [[type.min - 1, `below ${type.min}`] as const]
      const above = type.max === Number.MAX_SAFE_INTEGER ? [] : [[type.max + 1, `above ${type.max}`] as const]
      return [[-1, 'negative'], [null, 'null for an unsigned integer'], ...below, ...above]
    }
    case 'int':
      return [['1', 'a text for an integer']]
    case 'bool':
      return [[1, 'an integer for a boolean']]
    case 'optional':
      return refusals(type.of).filter(([value]) => value !== null)
    case 'list': {
      const [bad, why] = refusals(type.of)[0] as readonly [WireValue, string]
      return [
        [null, 'null for an array'],
        [[bad], `inside an array: ${why}`],
      ]
    }
    case 'tuple':
      return [
        [[], 'a tuple without its elements'],
        [[...type.of.map(sample), 0], 'a tuple with an element too many'],
      ]
    case 'values':
      return [[1, 'an integer for an array']]
  }
}

/** Bytes up to which a vector spells a value out. */
const SPELLED_OUT = 300

function sized(most: number, least: number, make: (n: number) => WireValue): readonly (readonly [WireValue, string])[] {
  const long = most < SPELLED_OUT ? [[make(most + 1), `longer than ${most} bytes`] as const] : []
  const short = least > 0 ? [[make(least - 1), `shorter than ${least} bytes`] as const] : []
  return [...long, ...short]
}
