import { encode } from '../../src/encode.ts'
import { ERROR_CODES } from '../../src/errors.ts'
import { MESSAGES, type MessageRow } from '../../src/message-schema.ts'
import { MESSAGE } from '../../src/messages.ts'
import { OPERATIONS } from '../../src/operations.ts'
import type { WireValue } from '../../src/value.ts'
import { hex, toJson, vectorFile } from './json.ts'
import { refusals, sample } from './samples.ts'

const FIX = '{"version":"1.0","fs":{"read":["/work/notes.txt"]}}'

const GOOD: readonly (readonly ['client' | 'gate', readonly WireValue[], string])[] = [
  ['client', [MESSAGE.HELLO, 1, 1, 'example 1.0', null], 'hello under the run’s own capability'],
  ['client', [MESSAGE.HELLO, 1, 1, 'example 1.0', 'cap1_AAAA'], 'hello with a token'],
  ['client', [MESSAGE.HELLO, 1, 2, 'example 9.0', null, 'later', [1]], 'a hello of a newer generation may carry fields unknown here'],
  ['gate', [MESSAGE.WELCOME, 1, 1, '0123456789abcdef0123456789abcdef', 256, 256, 262144, 0], 'welcome'],
  ['client', [MESSAGE.REQUEST, 1, OPERATIONS['session.ping'].code, 0, 0, [Uint8Array.of(1, 2)]], 'session.ping'],
  ['client', [MESSAGE.REQUEST, 2, OPERATIONS['fs.open'].code, 5000, 0, ['/work/notes.txt', 1, 0]], 'fs.open to read, waiting 5 s at most'],
  ['client', [MESSAGE.REQUEST, 3, 0xffff, 0, 7, []], 'an operation nobody knows is a good message: it is answered with E_UNSUPPORTED'],
  ['gate', [MESSAGE.RESULT, 1, [Uint8Array.of(1, 2)]], 'result of session.ping'],
  ['gate', [MESSAGE.RESULT, 9, []], 'an empty result'],
  [
    'gate',
    [
      MESSAGE.ERROR,
      2,
      ERROR_CODES.E_POLICY_DENY.code,
      'no rule allows fs.read of /work/notes.txt',
      'EACCES',
      ['fs.read', '/work/notes.txt', FIX, 17],
    ],
    'a denial with its fix',
  ],
  [
    'gate',
    [MESSAGE.ERROR, 3, ERROR_CODES.E_UNSUPPORTED.code, 'operation 65535 is unknown', 'EOPNOTSUPP', null],
    'a failure that is no denial',
  ],
  ['gate', [MESSAGE.ERROR, 3, 9999, 'later', 'EIO', null], 'an error code unknown here means E_INTERNAL'],
  ['client', [MESSAGE.CANCEL, 2], 'cancel'],
  ['client', [MESSAGE.STREAM_DATA, 1, Uint8Array.of(0x68, 0x69)], 'bytes to the gate'],
  ['gate', [MESSAGE.STREAM_DATA, 1, Uint8Array.of(0x68, 0x69)], 'bytes to the client'],
  ['client', [MESSAGE.STREAM_END, 1], 'the client has sent all'],
  ['gate', [MESSAGE.STREAM_END, 1], 'the gate has sent all'],
  ['client', [MESSAGE.STREAM_CREDIT, 1, 131072], 'the client can take more'],
  ['gate', [MESSAGE.STREAM_CREDIT, 1, 131072], 'the gate can take more'],
  ['client', [MESSAGE.STREAM_RESET, 1, ERROR_CODES.E_CANCELLED.code, ''], 'the client gives a stream up'],
  ['gate', [MESSAGE.STREAM_RESET, 1, ERROR_CODES.E_UPSTREAM.code, 'connection reset by peer'], 'the far end failed'],
  ['gate', [MESSAGE.GOODBYE, ERROR_CODES.E_PROTOCOL.code, 'request id 3 does not follow 7: ids only grow'], 'the session is over'],
]

export function messageVectors(): string {
  return vectorFile(
    'Messages of a session as CBOR items, by sender. Each is accepted under generation 1.',
    GOOD.map(([from, value, meaning]) => ({ from, hex: hex(encode(value)), value: toJson(value), meaning })),
  )
}

const ODD: readonly (readonly ['client' | 'gate', WireValue, string, string?])[] = [
  ['client', 1, 'not an array'],
  ['client', [], 'no number'],
  ['client', ['1'], 'a text for the number'],
  ['client', [0], 'message 0'],
  ['client', [12], 'message 12'],
  ['client', [-1], 'message −1'],
  ['client', [MESSAGE.WELCOME, 1, 1, 'r', 1, 1, 0, 0], 'a client does not welcome'],
  ['client', [MESSAGE.GOODBYE, 1, ''], 'a client does not say goodbye: it disconnects'],
  ['client', [MESSAGE.HELLO, 2, 1, 'example', null], 'another protocol version', 'E_UNSUPPORTED'],
  ['client', [MESSAGE.HELLO, 2], 'another protocol version, whatever follows it', 'E_UNSUPPORTED'],
  ['client', [MESSAGE.HELLO, 1, 1, 'example', null, 0], 'appended fields need a newer generation'],
  ['client', [MESSAGE.HELLO, 1, 2, 'example'], 'a newer generation never has fewer fields'],
  ['gate', [MESSAGE.HELLO, 1, 1, 'example', null], 'a gate does not say hello'],
  ['gate', [MESSAGE.WELCOME, 1, 2, 'r', 1, 1, 0, 0], 'a generation that was not offered'],
  ['gate', [MESSAGE.WELCOME, 2, 1, 'r', 1, 1, 0, 0], 'another protocol version', 'E_UNSUPPORTED'],
]

export function malformedMessageVectors(): string {
  const schemaFaults = Object.entries(MESSAGES).flatMap(([name, row]) => malformed(name, row))
  return vectorFile(
    'Well-formed CBOR that is no message of that sender under generation 1: the session is over.',
    [...ODD, ...schemaFaults].map(([from, value, why, error]) => ({
      from,
      hex: hex(encode(value)),
      value: toJson(value),
      why,
      error: error ?? 'E_PROTOCOL',
    })),
  )
}

function malformed(name: string, row: MessageRow): readonly (readonly ['client' | 'gate', WireValue, string])[] {
  const from = row.from === 'both' ? 'client' : row.from
  const good = row.fields.map(sample)
  const message = (fields: readonly WireValue[], why: string) => [from, [row.number, ...fields], `${name}: ${why}`] as const
  return [
    message([...good, null], 'one field too many'),
    message(good.slice(0, -1), 'one field too few'),
    ...row.fields.flatMap((field, i) =>
      refusals(field.type)
        .filter(([bad]) => typeof bad !== 'number' || field.name !== 'version')
        .filter(([bad]) => typeof bad !== 'number' || bad <= 0 || field.name !== 'generation')
        .map(([bad, why]) => message(good.with(i, bad), `${field.name}: ${why}`)),
    ),
  ]
}
