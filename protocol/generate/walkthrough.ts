import { encode, encodeFrame } from '../src/encode.ts'
import { ERROR_CODES } from '../src/errors.ts'
import { GENERATION, INITIAL_STREAM_CREDIT, LINK_HEADER_BYTES, MAX_IN_FLIGHT, MAX_STREAMS, PROTOCOL_VERSION } from '../src/limits.ts'
import { MESSAGES } from '../src/message-schema.ts'
import { MESSAGE } from '../src/messages.ts'
import { OPERATIONS } from '../src/operations.ts'
import type { WireValue } from '../src/value.ts'
import { hex } from './vectors/json.ts'

/** Bytes on one line of the walk-through. */
const LINE_BYTES = 16

const STEPS: readonly (readonly ['client' | 'gate', string, readonly WireValue[]])[] = [
  ['client', 'says hello under the run’s own capability', [MESSAGE.HELLO, PROTOCOL_VERSION, GENERATION, 'walk', null]],
  ['gate', 'welcomes', [MESSAGE.WELCOME, PROTOCOL_VERSION, GENERATION, '5f0e', MAX_IN_FLIGHT, MAX_STREAMS, INITIAL_STREAM_CREDIT, 0]],
  ['client', 'asks for the attributes of a file', [MESSAGE.REQUEST, 1, OPERATIONS['fs.stat'].code, 0, 0, ['/work/a.txt']]],
  ['gate', 'answers', [MESSAGE.RESULT, 1, ['file', 1500, 0o644, 1_700_000_000_000_000, 1]]],
  ['client', 'asks to remove it, waiting 2 s at most', [MESSAGE.REQUEST, 2, OPERATIONS['fs.unlink'].code, 2000, 0, ['/work/a.txt']]],
  [
    'gate',
    'denies',
    [
      MESSAGE.ERROR,
      2,
      ERROR_CODES.E_POLICY_DENY.code,
      'no rule allows it',
      'EACCES',
      ['fs.write', '/work/a.txt', '{"version":"1.0","fs":{"write":["/work/a.txt"]}}', 9],
    ],
  ],
]

/** Each step as annotated hex: bytes left, what they are right. The sum of the left column is the frame. */
export function walkthrough(): string {
  return STEPS.map(([from, what, message], i) => {
    const lines = annotate(message)
    return `${i + 1}. The ${from} ${what}:\n\n\`\`\`hex ${from}\n${lines.join('\n')}\n\`\`\``
  }).join('\n\n')
}

function annotate(message: readonly WireValue[]): string[] {
  const frame = encodeFrame(0, message)
  const name = Object.entries(MESSAGE).find(([, number]) => number === message[0])?.[0] as keyof typeof MESSAGES
  const row = MESSAGES[name]
  const lines = [
    line(frame.subarray(0, 4), `length: ${frame.length - 4} bytes follow`),
    line(frame.subarray(4, LINK_HEADER_BYTES), 'session 0'),
    line(frame.subarray(LINK_HEADER_BYTES, LINK_HEADER_BYTES + 1), `array of ${message.length}`),
    line(encode(message[0] as WireValue), name),
  ]
  for (const [i, field] of row.fields.entries()) lines.push(...valueLines(message[i + 1] as WireValue, field.name, 1))
  return lines
}

function valueLines(value: WireValue, name: string, depth: number): string[] {
  const indent = '  '.repeat(depth)
  if (!Array.isArray(value)) return wrapped(encode(value), `${indent}${name}: ${typeof value === 'string' ? `"${value}"` : String(value)}`)
  const head = encode(value).subarray(0, 1)
  return [line(head, `${indent}${name}: array of ${value.length}`), ...value.flatMap((element) => valueLines(element, '·', depth + 1))]
}

function wrapped(bytes: Uint8Array, note: string): string[] {
  const lines = [line(bytes.subarray(0, LINE_BYTES), note)]
  for (let at = LINE_BYTES; at < bytes.length; at += LINE_BYTES) lines.push(line(bytes.subarray(at, at + LINE_BYTES), ''))
  return lines
}

function line(bytes: Uint8Array, note: string): string {
  const left = (hex(bytes).match(/../g) ?? []).join(' ')
  return note === '' ? left : `${left.padEnd(LINE_BYTES * 3 - 1)}  # ${note}`
}
