import { fieldsIn } from '../../src/arguments.ts'
import { ERROR_CODES, type ErrorCodeRow } from '../../src/errors.ts'
import { MESSAGES } from '../../src/message-schema.ts'
import { OPERATIONS, type OperationRow } from '../../src/operations.ts'
import type { Field, FieldType } from '../../src/schema.ts'

/**
 * What a generation's peers rely on, without the wording: numbers, names, order, kinds and bounds. Once released it never changes;
 * a difference means an old client would be misunderstood.
 */
export function generationSchema(generation: number): string {
  const rows = (Object.entries(OPERATIONS) as readonly (readonly [string, OperationRow])[]).filter(
    ([, row]) => (row.since ?? 1) <= generation,
  )
  const messages = Object.entries(MESSAGES).map(([name, row]) => ({
    name,
    number: row.number,
    from: row.from,
    fields: fields(row.fields, generation),
  }))
  const operations = rows.map(([name, row]) => ({
    name,
    code: row.code,
    class: row.class,
    via: row.via,
    action: row.action,
    args: fields(row.args, generation),
    result: fields(row.result, generation),
  }))
  const errors = (Object.entries(ERROR_CODES) as readonly (readonly [string, ErrorCodeRow])[])
    .filter(([, row]) => (row.since ?? 1) <= generation)
    .map(([name, row]) => ({ name, code: row.code, errno: row.errno }))
  const lines = (list: readonly object[]): string => list.map((row) => JSON.stringify(row)).join(',\n')
  return `{\n"generation": ${generation},\n"messages": [\n${lines(messages)}\n],\n"operations": [\n${lines(operations)}\n],\n"errors": [\n${lines(errors)}\n]\n}\n`
}

function fields(list: readonly Field[], generation: number): readonly (readonly [string, string])[] {
  return fieldsIn(list, generation).map((field) => [field.name, typeText(field.type)])
}

/** A type in a short notation, the one of SPEC.md: `text ≤4096`, `uint 1…65535`, `[text ≤45] ≤16`, `… | null`. */
export function typeText(type: FieldType): string {
  switch (type.kind) {
    case 'text':
    case 'bytes':
      return `${type.kind} ${range(type.minBytes ?? 0, type.maxBytes)}`
    case 'uint':
      return type.max === Number.MAX_SAFE_INTEGER && type.min === undefined ? 'uint' : `uint ${range(type.min ?? 0, type.max)}`
    case 'int':
    case 'bool':
      return type.kind
    case 'optional':
      return `${typeText(type.of)} | null`
    case 'list':
      return `[${typeText(type.of)}] ≤${type.max}`
    case 'tuple':
      return `(${type.of.map((field) => `${field.name}: ${typeText(field.type)}`).join(', ')})`
    case 'values':
      return `[any] ≤${type.max}`
  }
}

function range(least: number, most: number): string {
  if (least === most) return `=${most}`
  const upper = most === Number.MAX_SAFE_INTEGER ? '2^53−1' : String(most)
  return least === 0 ? `≤${upper}` : `${least}…${upper}`
}
