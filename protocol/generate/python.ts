import { ERROR_CODES } from '../src/errors.ts'
import * as limits from '../src/limits.ts'
import { MESSAGE } from '../src/messages.ts'
import { OPEN_FLAGS, OPERATIONS, type OperationRow, RENAME_FLAGS } from '../src/operations.ts'

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

from typing import Dict, NamedTuple, Tuple


class Operation(NamedTuple):
    code: int
    args: Tuple[str, ...]
    result: Tuple[str, ...]


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
    ),`
}

function constants(prefix: string, table: { readonly [name: string]: number }): string {
  return Object.entries(table)
    .map(([name, number]) => `${prefix}_${name} = ${number}`)
    .join('\n')
}

function names(fields: readonly { readonly name: string }[]): string {
  if (fields.length === 0) return '()'
  const inside = fields.map((field) => `"${field.name}"`).join(', ')
  return fields.length === 1 ? `(${inside},)` : `(${inside})`
}
