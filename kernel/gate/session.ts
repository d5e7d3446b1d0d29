import {
  AuthorityError,
  type ClientMessage,
  checkArguments,
  ERROR_CODES,
  type ErrorReply,
  errorReply,
  type GateMessage,
  HELLO_DEADLINE_MS,
  INITIAL_STREAM_CREDIT,
  MAX_DEADLINE_MS,
  MAX_FILES,
  MAX_IN_FLIGHT,
  MAX_STREAMS,
  MESSAGE,
  negotiate,
  operationOf,
  operationRow,
  PROTOCOL_VERSION,
  parseClientMessage,
  type Request,
  type Result,
  type WireValue,
} from '@authority/protocol'
import type { EffectSession, GateStream, HeldThing, StreamEnds } from '../effects/contract.ts'
import type { Subject } from '../vocabulary/index.ts'
import { Deadlines, type Due } from './deadlines.ts'
import { SESSION_END_MS } from './limits.ts'
import { type OperationRegistry, type Performed, resultOf } from './registry.ts'
import { RequestAbort } from './request-abort.ts'
import { SessionStreams } from './session-streams.ts'
import type { ApprovalMode } from './types.ts'

export interface SessionOptions {
  readonly subject: Subject
  readonly run: string
  readonly registry: OperationRegistry
  /** Throws when the message cannot be put on the wire. */
  readonly send: (message: GateMessage) => void
  /** Whether the peer reads what it is sent; streams wait until it does. `onRoom` tells that it did. */
  readonly room: () => boolean
  /** The session is over; called once. Nothing is sent after it. */
  readonly onEnd: () => void
}

/** A request that is not answered yet. */
class InFlight extends RequestAbort implements Due {
  due = Number.POSITIVE_INFINITY
  readonly request: Request
  readonly deadlineMs: number
  /** Resolves when it has ended, and is answered unless it was before. */
  answered: Promise<void> | undefined
  /** It was answered before it ended. */
  isLeft = false

  constructor(request: Request) {
    super()
    this.request = request
    this.deadlineMs = request.deadlineMs === 0 ? MAX_DEADLINE_MS : Math.min(request.deadlineMs, MAX_DEADLINE_MS)
  }
}

/** One client's conversation with the gate: SPEC.md's state table, in code. */
export class Session implements EffectSession {
  readonly subject: Subject
  private readonly options: SessionOptions
  private readonly inFlight = new Map<number, InFlight>()
  /** What goes on although it was answered. */
  private readonly left = new Set<Promise<void>>()
  private readonly deadlines = new Deadlines(this.inFlight, (one) => this.giveUp(one, timeoutOf(one)))
  private readonly things = new Map<number, HeldThing>()
  private readonly streams: SessionStreams
  private nextThing = 1
  private lastRequest = 0
  private greeted = false
  private generation: number | undefined
  private over = false
  private ended: Promise<void> | null = null
  private handle = 0
  private approval: ApprovalMode = 'wait'
  private readonly helloTimer: ReturnType<typeof setTimeout>

  constructor(options: SessionOptions) {
    this.options = options
    this.subject = options.subject
    this.streams = new SessionStreams({ post: (message) => this.post(message), room: options.room, held: options.registry.held })
    this.helloTimer = setTimeout(
      () => this.refuse(new AuthorityError('E_TIMEOUT', `no hello within ${HELLO_DEADLINE_MS} ms`)),
      HELLO_DEADLINE_MS,
    )
  }

  /** Takes one CBOR item. Never throws: what a bad one does is said to the peer. */
  receive(item: Uint8Array): void {
    if (this.over) return
    try {
      this.dispatch(parseClientMessage(item, this.generation), item)
    } catch (error) {
      this.refuse(asAuthorityError(error))
    }
  }

  /** Ends the session, its requests, streams and things; resolves when all are closed, or when they had SESSION_END_MS for it. */
  end(): Promise<void> {
    if (this.ended === null) {
      // Set before anything is closed: what closing calls may ask for the end again.
      const ending = Promise.withResolvers<void>()
      this.ended = ending.promise
      void this.finish().finally(ending.resolve)
    }
    return this.ended
  }

  /** Resolves when all that the agent said on its streams was passed on, or never will be. */
  passedOn(): Promise<void> {
    return this.streams.passedOn()
  }

  /** The peer has read what was sent. */
  onRoom(): void {
    this.streams.onRoom()
  }

  private async finish(): Promise<void> {
    this.over = true
    clearTimeout(this.helloTimer)
    this.deadlines.clear()
    const working = [...this.left, ...[...this.inFlight.values()].flatMap(({ answered }) => answered ?? [])]
    for (const request of this.inFlight.values()) request.abort(new AuthorityError('E_CANCELLED', 'the session ended'))
    const closing = this.streams.abandon()
    const things = [...this.things.values()]
    this.things.clear()
    this.options.registry.endSession(this.subject.session)
    this.options.onEnd()
    await within(SESSION_END_MS, [...working, ...closing, ...things.map((thing) => thing.close())])
  }

  private dispatch(message: ClientMessage, item: Uint8Array): void {
    if (message.type === MESSAGE.HELLO) return this.onHello(message)
    if (!this.greeted) throw new AuthorityError('E_PROTOCOL', 'the first message must be a hello')
    switch (message.type) {
      case MESSAGE.REQUEST:
        return this.onRequest(message, item)
      case MESSAGE.CANCEL:
        return this.onCancel(message.id)
      case MESSAGE.STREAM_DATA:
        return this.streams.of(message.stream)?.onData(message.data)
      case MESSAGE.STREAM_END:
        return this.streams.of(message.stream)?.onEnd()
      case MESSAGE.STREAM_CREDIT:
        return this.streams.of(message.stream)?.onCredit(message.bytes)
      case MESSAGE.STREAM_RESET:
        return this.streams.of(message.stream)?.onReset()
    }
  }

  private onHello(hello: Extract<ClientMessage, { type: typeof MESSAGE.HELLO }>): void {
    if (this.greeted) throw new AuthorityError('E_PROTOCOL', 'a second hello')
    if (hello.version !== PROTOCOL_VERSION)
      throw new AuthorityError(
        'E_UNSUPPORTED',
        `protocol version ${hello.version} is not spoken here; this gate speaks ${PROTOCOL_VERSION}`,
      )
    if (hello.token !== null) this.handle = this.options.registry.bind(this.subject.session, hello.token)
    this.greeted = true
    this.generation = negotiate(hello.generation)
    clearTimeout(this.helloTimer)
    this.post({
      type: MESSAGE.WELCOME,
      version: PROTOCOL_VERSION,
      generation: this.generation,
      run: this.options.run,
      maxInFlight: MAX_IN_FLIGHT,
      maxStreams: MAX_STREAMS,
      streamCredit: INITIAL_STREAM_CREDIT,
      handle: this.handle,
    })
  }

  /** Handle 0 is "as I said hello": the hello's token when there was one, so that a restricted session cannot reach back to the run's capability. */
  private effectiveHandle(handle: number): number {
    return handle === 0 ? this.handle : handle
  }

  private onRequest(request: Request, item: Uint8Array): void {
    if (request.id <= this.lastRequest)
      throw new AuthorityError('E_PROTOCOL', `request id ${request.id} does not follow ${this.lastRequest}: ids only grow`)
    if (this.inFlight.size >= MAX_IN_FLIGHT) throw new AuthorityError('E_PROTOCOL', `more than ${MAX_IN_FLIGHT} requests unanswered`)
    this.lastRequest = request.id
    const inFlight = new InFlight(request)
    this.inFlight.set(request.id, inFlight)
    this.deadlines.start(inFlight, inFlight.deadlineMs)
    inFlight.answered = this.answer(request, item, inFlight)
  }

  private async answer(request: Request, item: Uint8Array, inFlight: InFlight): Promise<void> {
    let message: GateMessage
    try {
      // What is known at once is answered in a later turn too: requests that come together count as unanswered together.
      const result = resultOf(await this.perform(request, item, inFlight))
      assertDeclared(request.operation, result, this.generation)
      message = { type: MESSAGE.RESULT, id: request.id, result }
    } catch (error) {
      message = errorReply(request.id, asAuthorityError(error))
    }
    if (!inFlight.isLeft) this.settle(message)
  }

  private onCancel(id: number): void {
    const inFlight = this.inFlight.get(id)
    if (inFlight !== undefined) this.giveUp(inFlight, new AuthorityError('E_CANCELLED', 'the client cancelled the request'))
  }

  /** An effect ends by itself then, and says what is known of it. Of bytes and looks nothing more would be known: they are answered, and left to end as no disk can be stopped. */
  private giveUp(inFlight: InFlight, error: AuthorityError): void {
    inFlight.abort(error)
    const { request, answered } = inFlight
    if (answered === undefined || !mayBeLeft(request)) return
    inFlight.isLeft = true
    this.settle(errorReply(request.id, error))
    this.left.add(answered)
    void answered.then(() => this.left.delete(answered))
  }

  /** For requests that come after it. */
  private chooseApproval([mode]: readonly WireValue[]): readonly WireValue[] {
    if (mode !== 'wait' && mode !== 'refuse') throw new AuthorityError('E_PROTOCOL', 'session.approvals takes `wait` or `refuse`')
    this.approval = mode
    return []
  }

  private perform(request: Request, item: Uint8Array, signal: RequestAbort): Performed | Promise<Performed> {
    // Otherwise short deadlines would let a client have any number under way.
    if (this.left.size >= MAX_IN_FLIGHT)
      throw new AuthorityError('E_RATE_LIMIT', `${MAX_IN_FLIGHT} requests of this session that were given up are still under way`)
    const operation = operationOf(request.operation)
    if (operation === undefined) throw new AuthorityError('E_UNSUPPORTED', `operation ${request.operation} is unknown to this gate`)
    const row = operationRow(operation)
    if (!row.via.includes(this.subject.via))
      throw new AuthorityError('E_UNSUPPORTED', `${operation} is not for ${this.subject.via} sessions`)
    checkArguments(row.args, request.args, operation)
    if (request.handle !== 0 && (row.class === 'control' || row.class === 'bytes'))
      this.options.registry.assertHandle(this.subject.session, request.handle)
    if (operation === 'session.approvals') return this.chooseApproval(request.args)
    const handle = this.effectiveHandle(request.handle)
    return this.options.registry.perform({
      operation,
      args: request.args,
      session: this,
      handle,
      signal,
      item,
      approval: this.approval,
    })
  }

  private settle(message: Result | ErrorReply): void {
    const { id } = message
    this.inFlight.delete(id)
    try {
      this.post(message)
    } catch (error) {
      // A result that does not fit a frame: its request is answered all the same.
      this.post(errorReply(id, new AuthorityError('E_FRAME_TOO_LARGE', 'the answer cannot be put on the wire', { cause: error })))
    }
  }

  private post(message: GateMessage): void {
    if (!this.over) this.options.send(message)
  }

  /** Says why and ends the session. */
  refuse(error: AuthorityError): void {
    this.post({ type: MESSAGE.GOODBYE, code: ERROR_CODES[error.code].code, message: error.message })
    void this.end()
  }

  // ── EffectSession ──

  hold(thing: HeldThing): number {
    if (this.over) throw new AuthorityError('E_CANCELLED', 'the session ended')
    if (this.things.size >= MAX_FILES)
      throw new AuthorityError('E_RATE_LIMIT', `more than ${MAX_FILES} open handles on one session`, { errno: 'EMFILE' })
    const number = this.nextThing++
    this.things.set(number, thing)
    return number
  }

  held<T extends HeldThing>(number: number, kind: T['kind']): T {
    const thing = this.things.get(number)
    if (thing === undefined || thing.kind !== kind)
      throw new AuthorityError('E_CAP_INVALID', `handle ${number} is not an open ${kind} of this session`, { errno: 'EBADF' })
    return thing as T
  }

  drop(number: number): void {
    this.things.delete(number)
  }

  openStream(ends: StreamEnds): GateStream {
    if (this.over) throw new AuthorityError('E_CANCELLED', 'the session ended')
    return this.streams.open(ends)
  }
}

/** Waits for all of them to settle, but not for ever. */
export async function within(ms: number, all: readonly Promise<unknown>[]): Promise<void> {
  if (all.length === 0) return
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([Promise.allSettled(all), late])
  clearTimeout(timer)
}

/** An answer clients would have to refuse is a fault of ours, and said to be one. What happened is on record as it happened. */
function assertDeclared(code: number, result: readonly WireValue[], generation: number | undefined): void {
  const operation = operationOf(code)
  if (operation === undefined) return
  try {
    checkArguments(operationRow(operation).result, result, operation, generation)
  } catch (cause) {
    throw new AuthorityError('E_INTERNAL', `a fault in the gate: the result of ${operation} is not as declared`, { cause })
  }
}

function timeoutOf({ deadlineMs }: InFlight): AuthorityError {
  return new AuthorityError('E_TIMEOUT', `the request's deadline of ${deadlineMs} ms passed`)
}

function mayBeLeft(request: Request): boolean {
  const operation = operationOf(request.operation)
  return operation !== undefined && ['bytes', 'look'].includes(operationRow(operation).class)
}

/** A fault of ours says nothing of its inside to the peer. */
function asAuthorityError(error: unknown): AuthorityError {
  return error instanceof AuthorityError ? error : new AuthorityError('E_INTERNAL', 'a fault in the gate', { cause: error })
}
