import {
  MAX_CBOR_ARRAY,
  MAX_CHUNK_BYTES,
  MAX_DEADLINE_MS,
  MAX_FIX_BYTES,
  MAX_IN_FLIGHT,
  MAX_MESSAGE_BYTES,
  MAX_OBJECT_BYTES,
  MAX_STREAM_CREDIT,
  MAX_STREAMS,
  MAX_TOKEN_BYTES,
} from './limits.ts'
import { MESSAGE } from './messages.ts'
import { bytes, type Field, field, MAX_U32, optional, text, tuple, u32, uint, values } from './schema.ts'

/**
 * The one declaration of every message's fields: parsing, SPEC.md, the CDDL and the frozen schema of each generation follow from it.
 * In a later generation fields may be appended, with `since`; a field is never removed, narrowed or given another meaning.
 */
export interface MessageRow {
  readonly number: number
  readonly from: 'client' | 'gate' | 'both'
  readonly fields: readonly Field[]
  readonly doc: string
}

const version = field('version', uint(MAX_U32), 'of the protocol; 1')
const generation = (doc: string) => field('generation', uint(MAX_U32, 1), doc)
const id = field('id', uint(Number.MAX_SAFE_INTEGER, 1), 'chosen by the client; each greater than the one before')
const stream = field('stream', uint(MAX_U32, 1), 'number from a result of this session')
const code = field('code', uint(0xffff), 'error code')
const message = field('message', text(MAX_MESSAGE_BYTES), 'a sentence for people')

export const MESSAGES: { readonly [name in keyof typeof MESSAGE]: MessageRow } = {
  HELLO: {
    number: MESSAGE.HELLO,
    from: 'client',
    fields: [
      version,
      generation('newest the client speaks'),
      field('client', text(256), 'name and version of the client; recorded, never decided on'),
      field('token', optional(text(MAX_TOKEN_BYTES)), '`cap1_…`, or null to act under the run’s own capability'),
    ],
    doc: 'The first message.',
  },
  WELCOME: {
    number: MESSAGE.WELCOME,
    from: 'gate',
    fields: [
      version,
      generation('the lower of both ends; holds for the session'),
      field('run', text(64), 'run id'),
      field('max_in_flight', uint(MAX_IN_FLIGHT, 1), 'requests unanswered at once'),
      field('max_streams', uint(MAX_STREAMS, 1), 'streams open at once'),
      field('stream_credit', uint(MAX_STREAM_CREDIT), 'bytes each direction of a fresh stream may send'),
      field('handle', u32, 'of the hello’s token; 0 when it had none'),
    ],
    doc: 'The session is open.',
  },
  REQUEST: {
    number: MESSAGE.REQUEST,
    from: 'client',
    fields: [
      id,
      field('operation', uint(0xffff), 'code of the operation'),
      field('deadline_ms', uint(MAX_DEADLINE_MS), 'ms the client waits at most; 0 is the longest allowed'),
      field('handle', u32, 'capability to act under: from cap.bind, or 0 for the one said hello with'),
      field('args', values(MAX_CBOR_ARRAY), 'the operation’s arguments'),
    ],
    doc: 'Asks for one operation.',
  },
  RESULT: {
    number: MESSAGE.RESULT,
    from: 'gate',
    fields: [id, field('result', values(MAX_CBOR_ARRAY), 'the operation’s results')],
    doc: 'The operation was performed, and its outcome is durable where its class promises that.',
  },
  ERROR: {
    number: MESSAGE.ERROR,
    from: 'gate',
    fields: [
      id,
      code,
      message,
      field('errno', text(32), 'Linux errno name a system call would give'),
      field(
        'denial',
        optional(
          tuple(
            field('permission', text(64), 'the missing permission'),
            field('object', text(MAX_OBJECT_BYTES), 'as the agent named it'),
            field('fix', text(MAX_FIX_BYTES), 'a policy that loads and would allow it; empty when nothing may'),
            field('seq', uint(), 'of the audit record'),
          ),
        ),
        'null when the failure is no denial',
      ),
    ],
    doc: 'The operation was refused or failed.',
  },
  CANCEL: {
    number: MESSAGE.CANCEL,
    from: 'client',
    fields: [id],
    doc: 'The answer is no longer wanted; the request is answered all the same, with E_CANCELLED or what had already happened.',
  },
  STREAM_DATA: {
    number: MESSAGE.STREAM_DATA,
    from: 'both',
    fields: [stream, field('data', bytes(MAX_CHUNK_BYTES, 1), 'spends as much credit')],
    doc: 'Bytes of a stream.',
  },
  STREAM_END: {
    number: MESSAGE.STREAM_END,
    from: 'both',
    fields: [stream],
    doc: 'The sender’s direction is finished; the other goes on.',
  },
  STREAM_CREDIT: {
    number: MESSAGE.STREAM_CREDIT,
    from: 'both',
    fields: [stream, field('bytes', uint(MAX_STREAM_CREDIT, 1), 'that many more may be sent to the sender of this')],
    doc: 'Lets the peer send more.',
  },
  STREAM_RESET: {
    number: MESSAGE.STREAM_RESET,
    from: 'both',
    fields: [stream, code, message],
    doc: 'Both directions are over; bytes under way are lost.',
  },
  GOODBYE: {
    number: MESSAGE.GOODBYE,
    from: 'gate',
    fields: [code, message],
    doc: 'The session is over; nothing follows. Its form never changes, in no version.',
  },
}
