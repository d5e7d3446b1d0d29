import type { Denial } from './errors.ts'
import type { WireValue } from './value.ts'

/**
 * Messages of a session, each one CBOR array whose first element is its type number. The same numbers in both directions.
 * Their fields are declared in message-schema.ts; SPEC.md has the state table: which message is legal when, and what every other one does.
 */
export const MESSAGE = {
  /** client→gate: first message, names version, generation and token */
  HELLO: 1,
  /** gate→client: answers a hello */
  WELCOME: 2,
  /** client→gate: asks for one operation */
  REQUEST: 3,
  /** gate→client: a request succeeded */
  RESULT: 4,
  /** gate→client: a request failed or was denied */
  ERROR: 5,
  /** client→gate: the answer to a request is no longer wanted */
  CANCEL: 6,
  /** both: bytes of a stream; spends credit */
  STREAM_DATA: 7,
  /** both: this direction is finished */
  STREAM_END: 8,
  /** both: the peer may send that many more bytes */
  STREAM_CREDIT: 9,
  /** both: both directions are over */
  STREAM_RESET: 10,
  /** gate→client: the session is over */
  GOODBYE: 11,
} as const

export interface Hello {
  readonly type: typeof MESSAGE.HELLO
  readonly version: number
  readonly generation: number
  readonly client: string
  readonly token: string | null
}
export interface Welcome {
  readonly type: typeof MESSAGE.WELCOME
  readonly version: number
  readonly generation: number
  readonly run: string
  readonly maxInFlight: number
  readonly maxStreams: number
  readonly streamCredit: number
  readonly handle: number
}
export interface Request {
  readonly type: typeof MESSAGE.REQUEST
  readonly id: number
  readonly operation: number
  readonly deadlineMs: number
  readonly handle: number
  readonly args: readonly WireValue[]
}
export interface Result {
  readonly type: typeof MESSAGE.RESULT
  readonly id: number
  readonly result: readonly WireValue[]
}
export interface ErrorReply {
  readonly type: typeof MESSAGE.ERROR
  readonly id: number
  readonly code: number
  readonly message: string
  readonly errno: string
  readonly denial: Denial | null
}
export interface Cancel {
  readonly type: typeof MESSAGE.CANCEL
  readonly id: number
}
export interface StreamData {
  readonly type: typeof MESSAGE.STREAM_DATA
  readonly stream: number
  readonly data: Uint8Array
}
export interface StreamEnd {
  readonly type: typeof MESSAGE.STREAM_END
  readonly stream: number
}
export interface StreamCredit {
  readonly type: typeof MESSAGE.STREAM_CREDIT
  readonly stream: number
  readonly bytes: number
}
export interface StreamReset {
  readonly type: typeof MESSAGE.STREAM_RESET
  readonly stream: number
  readonly code: number
  readonly message: string
}
export interface Goodbye {
  readonly type: typeof MESSAGE.GOODBYE
  readonly code: number
  readonly message: string
}

export type ClientMessage = Hello | Request | Cancel | StreamData | StreamEnd | StreamCredit | StreamReset
export type GateMessage = Welcome | Result | ErrorReply | StreamData | StreamEnd | StreamCredit | StreamReset | Goodbye
