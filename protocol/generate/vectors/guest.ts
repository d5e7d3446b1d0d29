import { encode } from '../../src/encode.ts'
import { GATE_TO_GUEST_MESSAGES, GUEST_MESSAGES, type GuestMessageRow, LINK_CONTROL_MESSAGES } from '../../src/guest-schema.ts'
import type { WireValue } from '../../src/value.ts'
import { hex, toJson, vectorFile } from './json.ts'
import { refusals, sample } from './samples.ts'

const TABLES = [
  ['link', LINK_CONTROL_MESSAGES],
  ['guest', GUEST_MESSAGES],
  ['gate', GATE_TO_GUEST_MESSAGES],
] as const

const each = <T>(make: (table: string, name: string, row: GuestMessageRow) => readonly T[]): readonly T[] =>
  TABLES.flatMap(([table, rows]) => Object.entries(rows).flatMap(([name, row]) => make(table, name, row)))

export function guestVectors(): string {
  return vectorFile(
    'Messages between init and gate as CBOR items. `table`: `link` is session 0 of the effects port, `guest` and `gate` the senders on the control port.',
    each((table, name, row) => {
      const value = [row.number, ...row.fields.map(sample)]
      return [{ table, name, hex: hex(encode(value)), value: toJson(value), meaning: row.doc }]
    }),
  )
}

export function malformedGuestVectors(): string {
  const odd = TABLES.flatMap(([table]) =>
    ([7, [], [null], [0], [99], ['1']] as readonly WireValue[]).map((value) => fault(table, value, 'no message of this table')),
  )
  return vectorFile('What the parser of each table refuses.', [...odd, ...each(malformed)])
}

function malformed(table: string, name: string, row: GuestMessageRow): readonly object[] {
  const good = row.fields.map(sample)
  return [
    fault(table, [row.number, ...good, null], `${name}: one field too many`),
    ...(good.length === 0 ? [] : [fault(table, [row.number, ...good.slice(0, -1)], `${name}: one field too few`)]),
    ...row.fields.flatMap((field, i) =>
      refusals(field.type).map(([bad, why]) => fault(table, [row.number, ...good.with(i, bad)], `${name}: ${field.name}: ${why}`)),
    ),
  ]
}

function fault(table: string, value: WireValue, why: string): object {
  return { table, hex: hex(encode(value)), why, error: 'E_PROTOCOL' }
}
