import { ERROR_CODES } from '../src/errors.ts'
import * as guest from '../src/guest.ts'
import { GATE_TO_GUEST_MESSAGES, GUEST_MESSAGES, type GuestMessageRow, LINK_CONTROL_MESSAGES } from '../src/guest-schema.ts'
import * as limits from '../src/limits.ts'
import { MESSAGE } from '../src/messages.ts'
import { operationRow } from '../src/operations.ts'

/** kernel/guest/init/protocol.h: all that init has to know of the wire. */
export function header(): string {
  return `/*
 * Generated from protocol/src by \`bun protocol/generate.ts\`; do not edit.
 * Every frame: u32 length of what follows, u32 session, one CBOR item; big-endian. protocol/SPEC.md has the rest.
 */
#ifndef AUTHORITY_PROTOCOL_H
#define AUTHORITY_PROTOCOL_H

/* Versions */
${defines([
  ['PROTOCOL_VERSION', limits.PROTOCOL_VERSION],
  ['GENERATION', limits.GENERATION],
  ['GUEST_VERSION', guest.GUEST_VERSION],
])}

/* Names of the virtio-serial ports */
${defines(Object.entries(guest.PORTS).map(([name, port]) => [`PORT_${name.toUpperCase()}`, quoted(port)]))}

/* Where local programs reach the gate */
${defines([['GUEST_SOCKET', quoted(guest.GUEST_SOCKET)]])}

/* Limits: bytes, counts and milliseconds */
${defines([
  ['LINK_HEADER_BYTES', limits.LINK_HEADER_BYTES],
  ['MAX_FRAME_BYTES', limits.MAX_FRAME_BYTES],
  ['MAX_ITEM_BYTES', limits.MAX_ITEM_BYTES],
  ['MAX_CBOR_DEPTH', limits.MAX_CBOR_DEPTH],
  ['MAX_CBOR_ARRAY', limits.MAX_CBOR_ARRAY],
  ['MAX_CHUNK_BYTES', limits.MAX_CHUNK_BYTES],
  ['MAX_PATH_BYTES', limits.MAX_PATH_BYTES],
  ['MAX_FUSE_DATA_BYTES', limits.MAX_FUSE_DATA_BYTES],
  ['MAX_SESSIONS', limits.MAX_SESSIONS],
  ['MAX_STREAMS', limits.MAX_STREAMS],
  ['MAX_IN_FLIGHT', limits.MAX_IN_FLIGHT],
  ['INITIAL_STREAM_CREDIT', limits.INITIAL_STREAM_CREDIT],
  ['MAX_STREAM_CREDIT', limits.MAX_STREAM_CREDIT],
  ['MAX_MESSAGE_BYTES', limits.MAX_MESSAGE_BYTES],
  ['MAX_DNS_BYTES', limits.MAX_DNS_BYTES],
  ['MAX_STDIO_BYTES', guest.MAX_STDIO_BYTES],
  ['INITIAL_STDOUT_CREDIT', guest.INITIAL_STDOUT_CREDIT],
  ['MAX_MOUNTS', guest.MAX_MOUNTS],
  ['MAX_SCRATCH', guest.MAX_SCRATCH],
  ['MAX_LOOK_AGAIN', guest.MAX_LOOK_AGAIN],
  ['MAX_EXE_BYTES', guest.MAX_EXE_BYTES],
  ['MAX_START_STRINGS', guest.MAX_START_STRINGS],
  ['MAX_START_STRING_BYTES', guest.MAX_START_STRING_BYTES],
  ['ENTROPY_BYTES', guest.ENTROPY_BYTES],
  ['GATE_SILENCE_MS', guest.GATE_SILENCE_MS],
  ['AGENT_UID', guest.AGENT_UID],
])}

/* Kinds of EXITED */
${defines(Object.entries(guest.EXIT_KIND).map(([name, number]) => [`EXIT_KIND_${name}`, number]))}

/* Fences ARMED names */
${defines(guest.FENCES.map((name) => [`FENCE_${name.toUpperCase()}`, quoted(name)]))}

/* Messages of a session, as far as init speaks them */
${defines(Object.entries(MESSAGE).map(([name, number]) => [`MESSAGE_${name}`, number]))}

/* Operations init asks for */
${defines((['net.connect', 'net.query', 'net.accept'] as const).map((name) => [`OPERATION_${name.toUpperCase().replace('.', '_')}`, operationRow(name).code]))}

/* Error codes */
${defines(Object.entries(ERROR_CODES).map(([name, row]) => [name, row.code]))}

/* Session 0 of the effects and of the net port */
${messages('LINK', LINK_CONTROL_MESSAGES)}

/* The control port, guest to gate */
${messages('GUEST', GUEST_MESSAGES)}

/* The control port, gate to guest */
${messages('GATE', GATE_TO_GUEST_MESSAGES)}

#endif
`
}

/** A number, and the elements of the array that carries it, the number included. */
function messages(prefix: string, rows: { readonly [name: string]: GuestMessageRow }): string {
  return Object.entries(rows)
    .map(([name, row]) => {
      const fields = [row.number, ...row.fields.map((field) => field.name)].join(', ')
      return `/* [${fields}] ${row.doc} */\n${defines([
        [`${prefix}_${name}`, row.number],
        [`${prefix}_${name}_ELEMENTS`, row.fields.length + 1],
      ])}`
    })
    .join('\n')
}

function defines(pairs: readonly (readonly [string, number | string])[]): string {
  return pairs.map(([name, value]) => `#define AUTHORITY_${name} ${typeof value === 'number' ? literal(value) : value}`).join('\n')
}

/** `u` keeps comparisons with lengths unsigned. */
function literal(value: number): string {
  return `${value}u`
}

function quoted(text: string): string {
  if (!/^[\x20-\x7e]*$/.test(text) || /["\\]/.test(text)) throw new Error(`not a plain C string: ${text}`)
  return `"${text}"`
}
