import { ERROR_CODES } from '../src/errors.ts'
import { GATE_TO_GUEST_MESSAGES, GUEST_MESSAGES, type GuestMessageRow, LINK_CONTROL_MESSAGES } from '../src/guest-schema.ts'
import { MESSAGES } from '../src/message-schema.ts'
import { OPERATIONS, type OperationRow } from '../src/operations.ts'
import type { Field, FieldType } from '../src/schema.ts'

const OPERATION_ROWS = Object.entries(OPERATIONS) as readonly (readonly [string, OperationRow])[]

/** protocol/protocol.cddl: every item of the wire in the language of RFC 8610. */
export function cddl(): string {
  const from = (sender: 'client' | 'gate'): readonly string[] =>
    Object.entries(MESSAGES).flatMap(([name, row]) => (row.from === sender || row.from === 'both' ? [messageRule(name)] : []))
  return `; Generated from protocol/src by \`bun protocol/generate.ts\`; do not edit.
; The item of each link frame, RFC 8610. Encoding: RFC 8949 section 4.2.1, restricted as SPEC.md says.

item = client-message / gate-message / link-control / guest-message / gate-to-guest / fuse-message

client-message = ${from('client').join(' / ')}
gate-message = ${from('gate').join(' / ')}

wire-value = safe-int / bstr / tstr / bool / null / [* wire-value]
safe-int = -9007199254740991..9007199254740991
safe-uint = 0..9007199254740991

; Messages of a session
${Object.entries(MESSAGES)
  .map(([name, row]) => rule(messageRule(name), row.number, row.fields, row.doc))
  .join('\n')}

error-code = ${Object.values(ERROR_CODES)
    .map((row) => row.code)
    .join(' / ')}

; Operations: a request whose operation is CODE carries NAME-args, its result is NAME-result
${OPERATION_ROWS.map(([name, row]) => operation(name, row)).join('\n')}

; Session 0 of the effects port
${group('link-control', LINK_CONTROL_MESSAGES, 'link')}

; The control port, guest to gate
${group('guest-message', GUEST_MESSAGES, 'guest')}

; The control port, gate to guest
${group('gate-to-guest', GATE_TO_GUEST_MESSAGES, 'to-guest')}

; The link of host mounts: one FUSE message, link session = mount number
fuse-message = bstr
`
}

function operation(name: string, row: OperationRow): string {
  const base = ruleName(name)
  return [
    `; ${name}: ${row.doc}`,
    `${base}-request = [${[String(MESSAGES.REQUEST.number), ...MESSAGES.REQUEST.fields.map((field) => requestMember(field, base, row))].join(', ')}]`,
    `${base}-args = [${row.args.map(member).join(', ')}]`,
    `${base}-result = [${row.result.map(member).join(', ')}]`,
  ].join('\n')
}

/** A field of REQUEST, with the operation's code and arguments in their places. */
function requestMember(field: Field, base: string, row: OperationRow): string {
  if (field.name === 'operation') return `operation: ${row.code}`
  return field.name === 'args' ? `args: ${base}-args` : member(field)
}

function group(name: string, rows: { readonly [name: string]: GuestMessageRow }, prefix: string): string {
  const entries = Object.entries(rows).map(([message, row]) => [`${prefix}-${ruleName(message)}`, row] as const)
  return [
    `${name} = ${entries.map(([message]) => message).join(' / ')}`,
    ...entries.map(([message, row]) => rule(message, row.number, row.fields, row.doc)),
  ].join('\n')
}

function rule(name: string, number: number, fields: readonly Field[], doc: string): string {
  return `; ${doc}\n${name} = [${[String(number), ...fields.map(member)].join(', ')}]`
}

function member(field: Field): string {
  return `${field.name}: ${typeOf(field.type)}`
}

function typeOf(type: FieldType): string {
  switch (type.kind) {
    case 'text':
      return `tstr .size (${type.minBytes ?? 0}..${type.maxBytes})`
    case 'bytes':
      return `bstr .size (${type.minBytes ?? 0}..${type.maxBytes})`
    case 'uint':
      return type.max === Number.MAX_SAFE_INTEGER && type.min === undefined ? 'safe-uint' : `${type.min ?? 0}..${type.max}`
    case 'int':
      return 'safe-int'
    case 'bool':
      return 'bool'
    case 'optional':
      return `${typeOf(type.of)} / null`
    case 'list':
      return `[0*${type.max} ${nested(type.of)}]`
    case 'tuple':
      return `[${type.of.map(member).join(', ')}]`
    case 'values':
      return `[0*${type.max} wire-value]`
  }
}

/** An element type as it may follow an occurrence. */
function nested(type: FieldType): string {
  return type.kind === 'optional' ? `(${typeOf(type)})` : typeOf(type)
}

/** Rules end in a word no field has: some tools take a field's name for the rule of that name. */
function messageRule(name: string): string {
  return `${ruleName(name)}-message`
}

function ruleName(name: string): string {
  return name.toLowerCase().replace(/[._]/g, '-')
}
