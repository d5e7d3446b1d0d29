import { ERROR_CODES } from '../src/errors.ts'
import { GATE_TO_GUEST_MESSAGES, GUEST_MESSAGES, type GuestMessageRow, LINK_CONTROL_MESSAGES } from '../src/guest-schema.ts'
import * as limits from '../src/limits.ts'
import { MESSAGES } from '../src/message-schema.ts'
import { OPERATIONS, type OperationRow } from '../src/operations.ts'
import type { Field } from '../src/schema.ts'
import { typeText } from './vectors/generation.ts'
import { walkthrough } from './walkthrough.ts'

const OPERATION_ROWS = Object.entries(OPERATIONS) as readonly (readonly [string, OperationRow])[]

/** What stands between the markers of SPEC.md, by name. */
const SECTIONS: { readonly [name: string]: () => string } = {
  limits: limitTable,
  messages: messageTable,
  errors: errorTable,
  effects: effectTable,
  operations: operationTable,
  walkthrough,
  link: () => guestTable(LINK_CONTROL_MESSAGES),
  guest: () => guestTable(GUEST_MESSAGES),
  gate: () => guestTable(GATE_TO_GUEST_MESSAGES),
}

/** SPEC.md with its generated sections renewed. Throws when a marker has no section or a section no marker. */
export function spec(present: string): string {
  const seen = new Set<string>()
  const text = present.replace(/(<!-- generated: (\w+) -->\n)[\s\S]*?(<!-- end -->)/g, (_, begin: string, name: string, end: string) => {
    const section = SECTIONS[name]
    if (section === undefined) throw new Error(`SPEC.md: nothing generates ${name}`)
    seen.add(name)
    return `${begin}\n${section()}\n\n${end}`
  })
  for (const name of Object.keys(SECTIONS)) if (!seen.has(name)) throw new Error(`SPEC.md: no marker for ${name}`)
  return text
}

function limitTable(): string {
  return table(
    ['Limit', 'Value', 'Of'],
    [
      ['`MAX_FRAME_BYTES`', limits.MAX_FRAME_BYTES, 'bytes of a frame after its length field'],
      ['`MAX_CBOR_DEPTH`', limits.MAX_CBOR_DEPTH, 'arrays in arrays, the outermost counting 1'],
      ['`MAX_CBOR_ARRAY`', limits.MAX_CBOR_ARRAY, 'elements of one array'],
      ['`MAX_CBOR_VALUES`', limits.MAX_CBOR_VALUES, 'values of one item, all arrays together, arrays counted'],
      ['`MAX_CHUNK_BYTES`', limits.MAX_CHUNK_BYTES, 'bytes of one STREAM_DATA, fs.read or fs.write'],
      ['`MAX_SESSIONS`', limits.MAX_SESSIONS, 'sessions of one link'],
      ['`MAX_IN_FLIGHT`', limits.MAX_IN_FLIGHT, 'unanswered requests of one session'],
      ['`MAX_STREAMS`', limits.MAX_STREAMS, 'open streams of one session'],
      ['`MAX_FILES`', limits.MAX_FILES, 'open file handles of one session'],
      ['`INITIAL_STREAM_CREDIT`', limits.INITIAL_STREAM_CREDIT, 'bytes each direction of a fresh stream may send; welcome says it'],
      ['`MAX_DEADLINE_MS`', limits.MAX_DEADLINE_MS, 'ms a request may wait'],
      ['`HELLO_DEADLINE_MS`', limits.HELLO_DEADLINE_MS, 'ms a peer has to say hello'],
      ['`MAX_MESSAGE_BYTES`', limits.MAX_MESSAGE_BYTES, 'bytes of the sentence in an error, reset or goodbye'],
    ],
  )
}

function messageTable(): string {
  const arrow = { client: 'client → gate', gate: 'gate → client', both: 'both' } as const
  return Object.entries(MESSAGES)
    .map(([name, row]) => `**${name}** (${arrow[row.from]}) \`${shape(row.number, row.fields)}\` — ${row.doc}\n\n${fieldLines(row.fields)}`)
    .join('\n\n')
}

function guestTable(rows: { readonly [name: string]: GuestMessageRow }): string {
  return table(
    ['Message', 'Item', 'Meaning'],
    Object.entries(rows).map(([name, row]) => [
      name,
      `\`[${[row.number, ...row.fields.map((field) => `${field.name}: ${typeText(field.type)}`)].join(', ')}]\``,
      [row.doc, ...row.fields.map((field) => `\`${field.name}\`: ${field.doc}.`)].join(' '),
    ]),
  )
}

function errorTable(): string {
  return table(
    ['Code', 'Number', 'errno', 'Meaning'],
    Object.entries(ERROR_CODES).map(([name, row]) => [`\`${name}\``, row.code, row.errno, row.meaning]),
  )
}

function effectTable(): string {
  const of = (name: OperationRow['class']): string =>
    OPERATION_ROWS.filter(([, row]) => row.class === name)
      .map(([operation]) => `\`${operation}\``)
      .join(', ')
  return table(
    ['Class', 'What is durable when', 'Operations'],
    [
      ['change: a named change or an opening', 'INTENT before it happens, OUTCOME before the reply', of('change')],
      [
        'bytes: on an open handle or stream',
        'spends a byte lease reserved in the INTENT of its opening and renewed by a further durable record; totals and digest stand in the CLOSE record; fsync and close wait for durability',
        `${of('bytes')}, STREAM_DATA`,
      ],
      ['look: looking', 'decided every time, counted, recorded coalesced without waiting', of('look')],
      [
        'control: about the session or the run',
        'no effect on the world; what changes authority (revocation) is durable before the reply',
        of('control'),
      ],
    ],
  )
}

function operationTable(): string {
  return OPERATION_ROWS.map(
    ([name, row]) =>
      `**${name}** \`${hexCode(row.code)}\` · ${row.class} · ${row.action === null ? 'no permission' : `\`${row.action}\``} · ${row.via.join(', ')} — ${row.doc}\n\n` +
      `- arguments: ${fieldSentence(row.args)}\n- result: ${fieldSentence(row.result)}`,
  ).join('\n\n')
}

function shape(number: number, fields: readonly Field[]): string {
  return `[${[number, ...fields.map((field) => field.name)].join(', ')}]`
}

function fieldLines(fields: readonly Field[]): string {
  return fields.map((field) => `- \`${field.name}\` ${typeText(field.type)}: ${field.doc}`).join('\n')
}

function fieldSentence(fields: readonly Field[]): string {
  if (fields.length === 0) return 'none'
  return fields.map((field) => `\`${field.name}\` ${typeText(field.type)} (${field.doc})`).join(', ')
}

function hexCode(code: number): string {
  return `0x${code.toString(16).padStart(4, '0')}`
}

/** Cells padded to the width of their column, as the formatter leaves them. */
function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => String(cell).replaceAll('|', '\\|')))
  const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => [...(row[column] ?? '')].length)))
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - [...cell].length)).join(' | ')} |`
  const [first = [], ...others] = cells
  return [line(first), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...others.map(line)].join('\n')
}
