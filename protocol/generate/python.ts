import { ERROR_CODES } from '../src/errors.ts'
import * as limits from '../src/limits.ts'
import { MESSAGES } from '../src/message-schema.ts'
import { MESSAGE } from '../src/messages.ts'
import { OPEN_FLAGS, OPERATIONS, type OperationRow, RENAME_FLAGS } from '../src/operations.ts'
import type { Field, FieldType } from '../src/schema.ts'

/** Limits the Python SDK enforces or relies on. */
const LIMITS = {
  PROTOCOL_VERSION: limits.PROTOCOL_VERSION,
  GENERATION: limits.GENERATION,
  MAX_FRAME_BYTES: limits.MAX_FRAME_BYTES,
  LINK_HEADER_BYTES: limits.LINK_HEADER_BYTES,
  MAX_ITEM_BYTES: limits.MAX_ITEM_BYTES,
  MAX_CHUNK_BYTES: limits.MAX_CHUNK_BYTES,
  MAX_CBOR_DEPTH: limits.MAX_CBOR_DEPTH,
  MAX_CBOR_VALUES: limits.MAX_CBOR_VALUES,
  MAX_CBOR_ARRAY: limits.MAX_CBOR_ARRAY,
  MAX_PATH_BYTES: limits.MAX_PATH_BYTES,
  MAX_NAME_BYTES: limits.MAX_NAME_BYTES,
  MAX_HOST_BYTES: limits.MAX_HOST_BYTES,
  MAX_TOKEN_BYTES: limits.MAX_TOKEN_BYTES,
  MAX_DEADLINE_MS: limits.MAX_DEADLINE_MS,
  INITIAL_STREAM_CREDIT: limits.INITIAL_STREAM_CREDIT,
}

/** sdks/python/src/authority/_protocol.py: numbers and names of the wire. */
export function python(): string {
  return `# Generated from protocol/src by \`bun protocol/generate.ts\`; do not edit.
"""Numbers and names of the wire. protocol/SPEC.md says what they mean."""

from typing import Any, Dict, NamedTuple, Tuple

# A type is a tuple: ("text" | "bytes" | "uint", greatest, least), ("int",), ("bool",), ("values", greatest),
# ("list", type, greatest), ("tuple", names, types), ("optional", type). Bounds of texts and byte strings count bytes.
FieldType = Tuple[Any, ...]


class Operation(NamedTuple):
    code: int
    args: Tuple[str, ...]
    result: Tuple[str, ...]
    arg_types: Tuple[FieldType, ...]
    result_types: Tuple[FieldType, ...]


class Message(NamedTuple):
    number: int
    fields: Tuple[str, ...]
    types: Tuple[FieldType, ...]


class ErrorCode(NamedTuple):
    number: int
    errno: str
    meaning: str


${Object.entries(LIMITS)
  .map(([name, limit]) => `${name} = ${limit}`)
  .join('\n')}

${constants('MESSAGE', MESSAGE)}

${constants('OPEN', OPEN_FLAGS)}

${constants('RENAME', RENAME_FLAGS)}

ERRORS: Dict[str, ErrorCode] = {
${Object.entries(ERROR_CODES)
  .map(
    ([name, row]) =>
      `    "${name}": ErrorCode(\n        ${row.code},\n        "${row.errno}",\n        ${JSON.stringify(row.meaning)},\n    ),`,
  )
  .join('\n')}
}

ERROR_NAMES: Dict[int, str] = {row.number: name for name, row in ERRORS.items()}

MESSAGES: Dict[str, Message] = {
${Object.entries(MESSAGES)
  .map(
    ([name, row]) =>
      `    "${name}": Message(\n        ${row.number},\n        ${names(row.fields)},\n        ${types(row.fields)},\n    ),`,
  )
  .join('\n')}
}

OPERATIONS: Dict[str, Operation] = {
${Object.entries(OPERATIONS).map(operation).join('\n')}
}
`
}

function operation([name, row]: [string, OperationRow]): string {
  return `    "${name}": Operation(
        0x${row.code.toString(16).padStart(4, '0')},
        ${names(row.args)},
        ${names(row.result)},
        ${types(row.args)},
        ${types(row.result)},
    ),`
}

function constants(prefix: string, table: { readonly [name: string]: number }): string {
  return Object.entries(table)
    .map(([name, number]) => `${prefix}_${name} = ${number}`)
    .join('\n')
}

function names(fields: readonly Field[]): string {
  return pythonTuple(fields.map((field) => `"${field.name}"`))
}

function types(fields: readonly Field[]): string {
  return pythonTuple(fields.map((field) => typeText(field.type)))
}

function typeText(type: FieldType): string {
  switch (type.kind) {
    case 'text':
    case 'bytes':
      return `("${type.kind}", ${type.maxBytes}, ${type.minBytes ?? 0})`
    case 'uint':
      return `("uint", ${type.max}, ${type.min ?? 0})`
    case 'int':
    case 'bool':
      return `("${type.kind}",)`
    case 'values':
      return `("values", ${type.max})`
    case 'list':
      return `("list", ${typeText(type.of)}, ${type.max})`
    case 'tuple':
      return `("tuple", ${names(type.of)}, ${types(type.of)})`
    case 'optional':
      return `("optional", ${typeText(type.of)})`
  }
}

function pythonTuple(elements: readonly string[]): string {
  return elements.length === 1 ? `(${elements[0]},)` : `(${elements.join(', ')})`
}
