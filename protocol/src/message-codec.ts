import { checkFields } from './arguments.ts'
import { decode, READER } from './decode.ts'
import { encodeFrame } from './encode.ts'
import { AuthorityError, type Denial, ERROR_CODES, errorCodeOf } from './errors.ts'
import { GENERATION, MAX_FIX_BYTES, MAX_MESSAGE_BYTES, MAX_OBJECT_BYTES, PROTOCOL_VERSION } from './limits.ts'
import { MESSAGES, type MessageRow } from './message-schema.ts'
import {
  type ClientMessage,
  type ErrorReply,
  type GateMessage,
  type Goodbye,
  type Hello,
  MESSAGE,
  type Request,
  type StreamReset,
} from './messages.ts'
import type { Field } from './schema.ts'
import type { WireValue } from './value.ts'

/** Fields of a request between its type and its arguments: id, operation, deadline, handle. */
const REQUEST_NUMBERS = 4
/** The initial byte of its array. */
const REQUEST_ARRAY = 0x80 | (1 + MESSAGES.REQUEST.fields.length)
const [ID, OPERATION, DEADLINE, HANDLE] = MESSAGES.REQUEST.fields.slice(0, REQUEST_NUMBERS).map(boundsOf) as [
  Bounds,
  Bounds,
  Bounds,
  Bounds,
]

interface Bounds {
  readonly least: number
  readonly most: number
}

function boundsOf({ name, type }: Field): Bounds {
  if (type.kind !== 'uint') throw new TypeError(`field ${name} of a request is no number`)
  return { least: type.min ?? 0, most: type.max }
}

function isWithin({ least, most }: Bounds, value: number): boolean {
  return value >= least && value <= most
}

type AnyMessage = ClientMessage | GateMessage

/** One frame holding the message. Throws as `encodeFrame`. */
export function encodeMessage(session: number, message: AnyMessage): Uint8Array {
  return encodeFrame(session, itemOf(message))
}

/** The CBOR item of a message. Sentences too long for their field are cut, a fix too long is left out: an error must always be deliverable. */
export function itemOf(message: AnyMessage): readonly WireValue[] {
  switch (message.type) {
    case MESSAGE.HELLO:
      return [message.type, message.version, message.generation, message.client, message.token]
    case MESSAGE.WELCOME:
      return [
        message.type,
        message.version,
        message.generation,
        message.run,
        message.maxInFlight,
        message.maxStreams,
        message.streamCredit,
        message.handle,
      ]
    case MESSAGE.REQUEST:
      return [message.type, message.id, message.operation, message.deadlineMs, message.handle, message.args]
    case MESSAGE.RESULT:
      return [message.type, message.id, message.result]
    case MESSAGE.ERROR:
      return [message.type, message.id, message.code, sentence(message.message), message.errno, denialItem(message.denial)]
    case MESSAGE.CANCEL:
      return [message.type, message.id]
    case MESSAGE.STREAM_DATA:
      return [message.type, message.stream, message.data]
    case MESSAGE.STREAM_END:
      return [message.type, message.stream]
    case MESSAGE.STREAM_CREDIT:
      return [message.type, message.stream, message.bytes]
    case MESSAGE.STREAM_RESET:
      return [message.type, message.stream, message.code, sentence(message.message)]
    case MESSAGE.GOODBYE:
      return [message.type, message.code, sentence(message.message)]
  }
}

/**
 * Decodes and checks what a client sent, under the negotiated generation (before the welcome: the default).
 * Throws E_PROTOCOL for anything that is not exactly such a message, E_UNSUPPORTED for a hello of another protocol version.
 */
export function parseClientMessage(item: Uint8Array, generation: number = GENERATION): ClientMessage {
  const request = generation === GENERATION ? plainRequest(item) : null
  if (request !== null) return request
  const values = messageValues(item)
  switch (values[0]) {
    case MESSAGE.HELLO:
      return parseHello(values)
    case MESSAGE.REQUEST:
      check('REQUEST', values, generation)
      return {
        type: MESSAGE.REQUEST,
        id: values[1] as number,
        operation: values[2] as number,
        deadlineMs: values[3] as number,
        handle: values[4] as number,
        args: values[5] as readonly WireValue[],
      }
    case MESSAGE.CANCEL:
      check('CANCEL', values, generation)
      return { type: MESSAGE.CANCEL, id: values[1] as number }
    default:
      return parseStreamMessage(values, generation) ?? unknownMessage(values, 'a client')
  }
}

/** What nearly every message is, read straight into its fields. Null for any other and for a request that is not as declared: the general way says what it is. */
function plainRequest(item: Uint8Array): Request | null {
  if (item[0] !== REQUEST_ARRAY || item[1] !== MESSAGE.REQUEST) return null
  try {
    READER.begin(item, 2)
    const id = READER.uint()
    const operation = READER.uint()
    const deadlineMs = READER.uint()
    const handle = READER.uint()
    if (!(isWithin(ID, id) && isWithin(OPERATION, operation) && isWithin(DEADLINE, deadlineMs) && isWithin(HANDLE, handle))) return null
    const args = READER.item()
    READER.finish()
    return Array.isArray(args) ? { type: MESSAGE.REQUEST, id, operation, deadlineMs, handle, args } : null
  } catch {
    return null
  }
}

/** A copy of a request's arguments as they were received: they are its last field. Of an item that `parseClientMessage` took for a request. */
export function requestArgs(item: Uint8Array): Uint8Array {
  let at = 1
  for (let field = 0; field <= REQUEST_NUMBERS; field++) {
    const info = (item[at] as number) & 0x1f
    at += info < 24 ? 1 : 1 + (1 << (info - 24))
  }
  // What opens something is remembered as long as that is open: a view would keep all that arrived with it, and `slice` of a Buffer is one.
  return item.constructor === Uint8Array ? item.slice(at) : new Uint8Array(item.subarray(at))
}

/** The same for what a gate sent. A welcome must name this version and a generation this build speaks. */
export function parseGateMessage(item: Uint8Array, generation: number = GENERATION): GateMessage {
  const values = messageValues(item)
  switch (values[0]) {
    case MESSAGE.WELCOME: {
      refuseOtherVersion(values)
      refuseNewerGeneration(values)
      check('WELCOME', values, values[2] as number)
      return {
        type: MESSAGE.WELCOME,
        version: values[1] as number,
        generation: values[2] as number,
        run: values[3] as string,
        maxInFlight: values[4] as number,
        maxStreams: values[5] as number,
        streamCredit: values[6] as number,
        handle: values[7] as number,
      }
    }
    case MESSAGE.RESULT:
      check('RESULT', values, generation)
      return { type: MESSAGE.RESULT, id: values[1] as number, result: values[2] as readonly WireValue[] }
    case MESSAGE.ERROR:
      check('ERROR', values, generation)
      return {
        type: MESSAGE.ERROR,
        id: values[1] as number,
        code: values[2] as number,
        message: values[3] as string,
        errno: values[4] as string,
        denial: denialOf(values[5] as readonly WireValue[] | null),
      }
    case MESSAGE.GOODBYE:
      check('GOODBYE', values, generation)
      return { type: MESSAGE.GOODBYE, code: values[1] as number, message: values[2] as string }
    default:
      return parseStreamMessage(values, generation) ?? unknownMessage(values, 'a gate')
  }
}

/** The generation of a session between a client that says `theirs` and this build: the lower one. */
export function negotiate(theirs: number): number {
  return Math.min(theirs, GENERATION)
}

/** A failure as the reply to a request. Hints stay here: they are written for the operator. */
export function errorReply(id: number, error: AuthorityError): ErrorReply {
  return {
    type: MESSAGE.ERROR,
    id,
    code: ERROR_CODES[error.code].code,
    message: error.message,
    errno: error.errno,
    denial: error.denial ?? null,
  }
}

/** What a peer's error, reset or goodbye means here. A code this build does not know is E_INTERNAL, its number in the message. */
export function errorOf(reply: ErrorReply | StreamReset | Goodbye): AuthorityError {
  const code = errorCodeOf(reply.code)
  const message = code === undefined ? `${reply.message} (unknown error code ${reply.code})` : reply.message
  if (reply.type !== MESSAGE.ERROR) return new AuthorityError(code ?? 'E_INTERNAL', message)
  return new AuthorityError(code ?? 'E_INTERNAL', message, {
    errno: reply.errno,
    ...(reply.denial === null ? {} : { denial: reply.denial }),
  })
}

function parseHello(values: readonly WireValue[]): Hello {
  refuseOtherVersion(values)
  // Only a hello is written before the generation is known: one of a newer client may carry fields this build does not know, and they are not read.
  const newer = typeof values[2] === 'number' && values[2] > GENERATION
  const generation = typeof values[2] === 'number' ? values[2] : GENERATION
  checkFields(MESSAGES.HELLO.fields, values, 1, 'HELLO', generation, newer)
  return {
    type: MESSAGE.HELLO,
    version: values[1] as number,
    generation,
    client: values[3] as string,
    token: values[4] as string | null,
  }
}

function parseStreamMessage(values: readonly WireValue[], generation: number): (ClientMessage & GateMessage) | undefined {
  switch (values[0]) {
    case MESSAGE.STREAM_DATA:
      check('STREAM_DATA', values, generation)
      return { type: MESSAGE.STREAM_DATA, stream: values[1] as number, data: values[2] as Uint8Array }
    case MESSAGE.STREAM_END:
      check('STREAM_END', values, generation)
      return { type: MESSAGE.STREAM_END, stream: values[1] as number }
    case MESSAGE.STREAM_CREDIT:
      check('STREAM_CREDIT', values, generation)
      return { type: MESSAGE.STREAM_CREDIT, stream: values[1] as number, bytes: values[2] as number }
    case MESSAGE.STREAM_RESET:
      check('STREAM_RESET', values, generation)
      return { type: MESSAGE.STREAM_RESET, stream: values[1] as number, code: values[2] as number, message: values[3] as string }
    default:
      return undefined
  }
}

function messageValues(item: Uint8Array): readonly WireValue[] {
  const value = decode(item)
  if (!Array.isArray(value)) throw new AuthorityError('E_PROTOCOL', 'a message must be an array')
  return value as readonly WireValue[]
}

function check(name: keyof typeof MESSAGES, values: readonly WireValue[], generation: number): void {
  const row: MessageRow = MESSAGES[name]
  checkFields(row.fields, values, 1, name, generation, false)
}

function unknownMessage(values: readonly WireValue[], peer: string): never {
  const number = values[0]
  throw new AuthorityError(
    'E_PROTOCOL',
    typeof number === 'number' ? `message ${number} is none ${peer} sends` : 'a message must begin with its number',
  )
}

function refuseOtherVersion(values: readonly WireValue[]): void {
  if (typeof values[1] === 'number' && values[1] !== PROTOCOL_VERSION) {
    throw new AuthorityError('E_UNSUPPORTED', `the peer speaks protocol version ${values[1]}, this end ${PROTOCOL_VERSION}`)
  }
}

function refuseNewerGeneration(values: readonly WireValue[]): void {
  if (typeof values[2] === 'number' && values[2] > GENERATION) {
    throw new AuthorityError('E_PROTOCOL', `WELCOME: generation ${values[2]} was not offered, the newest here is ${GENERATION}`)
  }
}

function denialItem(denial: Denial | null): WireValue {
  if (denial === null) return null
  const fix = clip(denial.fix, MAX_FIX_BYTES) === denial.fix ? denial.fix : ''
  return [denial.permission, clip(denial.object, MAX_OBJECT_BYTES), fix, denial.seq]
}

function denialOf(values: readonly WireValue[] | null): Denial | null {
  if (values === null) return null
  return { permission: values[0] as string, object: values[1] as string, fix: values[2] as string, seq: values[3] as number }
}

function sentence(text: string): string {
  return clip(text, MAX_MESSAGE_BYTES)
}

/** The text made well-formed, and cut before the first character that would not fit `maxBytes` of UTF-8. */
function clip(text: string, maxBytes: number): string {
  const whole = text.toWellFormed()
  // No UTF-16 unit needs more than 3 bytes.
  if (whole.length * 3 <= maxBytes) return whole
  let bytes = 0
  let end = 0
  for (const character of whole) {
    const point = character.codePointAt(0) as number
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x1_0000 ? 3 : 4
    if (bytes > maxBytes) break
    end += character.length
  }
  return whole.slice(0, end)
}
