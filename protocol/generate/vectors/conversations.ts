import { encodeFrame } from '../../src/encode.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { MAX_DEADLINE_MS, MAX_FRAME_BYTES } from '../../src/limits.ts'
import { MESSAGE } from '../../src/messages.ts'
import { OPERATIONS } from '../../src/operations.ts'
import type { WireValue } from '../../src/value.ts'
import { hex, vectorFile } from './json.ts'

interface Answer {
  readonly message: keyof typeof MESSAGE
  readonly code?: ErrorCode
}
interface Conversation {
  readonly state: 'new' | 'open'
  readonly input: string
  /** Written one after the other, as separate chunks. */
  readonly send: readonly string[]
  readonly receive: readonly Answer[]
  readonly after: 'open' | 'closed'
}

const HELLO: readonly WireValue[] = [MESSAGE.HELLO, 1, 1, 'vectors', null]
const PAYLOAD = Uint8Array.of(1, 2, 3)
const frame = (item: WireValue, session = 0): string => hex(encodeFrame(session, item))
const request = (
  id: number,
  operation: keyof typeof OPERATIONS,
  args: readonly WireValue[],
  deadline = 0,
  handle = 0,
): readonly WireValue[] => [MESSAGE.REQUEST, id, OPERATIONS[operation].code, deadline, handle, args]
const ping = (id: number): readonly WireValue[] => request(id, 'session.ping', [PAYLOAD])
const goodbye = (code: ErrorCode): readonly Answer[] => [{ message: 'GOODBYE', code }]
const raw = (itemHex: string): string => `${(itemHex.length / 2 + 4).toString(16).padStart(8, '0')}00000000${itemHex}`
const tooLarge = `${(MAX_FRAME_BYTES + 1).toString(16).padStart(8, '0')}00000000`

const RESULT: Answer = { message: 'RESULT' }
const WELCOME: Answer = { message: 'WELCOME' }

function fresh(input: string, send: readonly string[], receive: readonly Answer[]): Conversation {
  return { state: 'new', input, send, receive, after: receive.at(-1)?.message === 'GOODBYE' ? 'closed' : 'open' }
}

function open(input: string, send: readonly string[], receive: readonly Answer[]): Conversation {
  return { ...fresh(input, [frame(HELLO), ...send], [WELCOME, ...receive]), state: 'open' }
}

const ROWS: readonly Conversation[] = [
  fresh('HELLO', [frame(HELLO)], [WELCOME]),
  fresh('HELLO of a newer generation with appended fields', [frame([MESSAGE.HELLO, 1, 7, 'vectors', null, 'later'])], [WELCOME]),
  fresh('HELLO cut into single bytes', hex(encodeFrame(0, HELLO)).match(/../g) ?? [], [WELCOME]),
  fresh('HELLO of another protocol version', [frame([MESSAGE.HELLO, 2, 1, 'vectors', null])], goodbye('E_UNSUPPORTED')),
  fresh('HELLO with a token that is not genuine', [frame([MESSAGE.HELLO, 1, 1, 'vectors', 'cap1_AAAA'])], goodbye('E_CAP_INVALID')),
  fresh('HELLO with a field too few', [frame([MESSAGE.HELLO, 1, 1, 'vectors'])], goodbye('E_PROTOCOL')),
  fresh('REQUEST', [frame(ping(1))], goodbye('E_PROTOCOL')),
  fresh('CANCEL', [frame([MESSAGE.CANCEL, 1])], goodbye('E_PROTOCOL')),
  fresh('STREAM_DATA', [frame([MESSAGE.STREAM_DATA, 1, PAYLOAD])], goodbye('E_PROTOCOL')),
  fresh('ill-formed CBOR', [raw('9fff')], goodbye('E_PROTOCOL')),
  fresh('a frame that is too large', [tooLarge], goodbye('E_FRAME_TOO_LARGE')),
  fresh('a frame without an item', ['0000000400000000'], goodbye('E_PROTOCOL')),
  fresh('a frame of another session than 0', [frame(HELLO, 5)], goodbye('E_PROTOCOL')),
  open('REQUEST', [frame(ping(1))], [RESULT]),
  open('two REQUESTs in one chunk', [frame(ping(1)) + frame(ping(2))], [RESULT, RESULT]),
  open('REQUEST with an id that skips some', [frame(ping(10)), frame(ping(9007))], [RESULT, RESULT]),
  open('REQUEST with the id of the one before', [frame(ping(4)), frame(ping(4))], [RESULT, ...goodbye('E_PROTOCOL')]),
  open('REQUEST with a lower id', [frame(ping(4)), frame(ping(3))], [RESULT, ...goodbye('E_PROTOCOL')]),
  open('REQUEST with id 0', [frame(ping(0))], goodbye('E_PROTOCOL')),
  open(
    'REQUEST that waits longer than is allowed',
    [frame(request(1, 'session.ping', [PAYLOAD], MAX_DEADLINE_MS + 1))],
    goodbye('E_PROTOCOL'),
  ),
  open(
    'REQUEST for an operation nobody knows',
    [frame([MESSAGE.REQUEST, 1, 0xffff, 0, 0, []])],
    [{ message: 'ERROR', code: 'E_UNSUPPORTED' }],
  ),
  open(
    'REQUEST for an operation of the operator',
    [frame(request(1, 'run.stop', ['please']))],
    [{ message: 'ERROR', code: 'E_UNSUPPORTED' }],
  ),
  open(
    'REQUEST with an argument of the wrong kind',
    [frame(request(1, 'session.ping', ['text']))],
    [{ message: 'ERROR', code: 'E_PROTOCOL' }],
  ),
  open('REQUEST with an argument too many', [frame(request(1, 'session.ping', [PAYLOAD, 1]))], [{ message: 'ERROR', code: 'E_PROTOCOL' }]),
  open(
    'REQUEST under a handle that is not this session’s',
    [frame(request(1, 'budget.status', [], 0, 99))],
    [{ message: 'ERROR', code: 'E_CAP_INVALID' }],
  ),
  open('REQUEST with a field too many', [frame([...ping(1), 0])], goodbye('E_PROTOCOL')),
  open('CANCEL of a request that was answered', [frame(ping(1)), frame([MESSAGE.CANCEL, 1])], [RESULT]),
  open('CANCEL of a request that never was', [frame([MESSAGE.CANCEL, 77])], []),
  open('HELLO', [frame(HELLO)], goodbye('E_PROTOCOL')),
  open('a message only the gate sends', [frame([MESSAGE.RESULT, 1, []])], goodbye('E_PROTOCOL')),
  open('a message nobody knows', [frame([99])], goodbye('E_PROTOCOL')),
  open('an item that is no array', [frame(1)], goodbye('E_PROTOCOL')),
  open('ill-formed CBOR', [raw('61ff')], goodbye('E_PROTOCOL')),
  open('CBOR with bytes after the item', [raw('820601f6')], goodbye('E_PROTOCOL')),
  open('STREAM_DATA of a stream never opened', [frame([MESSAGE.STREAM_DATA, 1, PAYLOAD])], goodbye('E_PROTOCOL')),
  open('STREAM_END of a stream never opened', [frame([MESSAGE.STREAM_END, 1])], goodbye('E_PROTOCOL')),
  open('STREAM_CREDIT of a stream never opened', [frame([MESSAGE.STREAM_CREDIT, 1, 1])], goodbye('E_PROTOCOL')),
  open('STREAM_RESET of a stream never opened', [frame([MESSAGE.STREAM_RESET, 1, 55, ''])], goodbye('E_PROTOCOL')),
  open('a frame that is too large', [tooLarge], goodbye('E_FRAME_TOO_LARGE')),
  open('a frame of another session than 0', [frame(ping(1), 1)], goodbye('E_PROTOCOL')),
]

export function conversationVectors(): string {
  return vectorFile(
    'Rows of SPEC.md’s state table as conversations over a unix socket, each on a fresh connection. `after` open: a further session.ping is answered.',
    ROWS,
  )
}
