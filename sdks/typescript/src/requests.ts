import {
  type AuthorityError,
  checkArguments,
  type ErrorReply,
  AuthorityError as Failure,
  MESSAGE,
  type OperationName,
  operationRow,
  type Request,
  type Result,
  type WireValue,
} from '@authority/protocol'
import { errorOfReply, faulty } from './errors.ts'
import type { ByteStream } from './stream.ts'
import { type Limit, watch } from './wait.ts'

type Values = readonly WireValue[]

export interface Answer {
  readonly values: Values
  /** Of an operation whose result names one. */
  readonly stream: ByteStream | null
}

interface Call {
  readonly operation: OperationName
  readonly args: Values
  readonly handle: number
  readonly limit: Limit
  /** 0 until it is sent. */
  id: number
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: AuthorityError) => void
  /** Set while somebody waits for the answer; an abandoned call keeps its place until the gate answers it. */
  unwatch: (() => void) | null
}

export interface RequestsOptions {
  readonly maxInFlight: number
  /** ms beyond its deadline until the gate's silence is the answer. */
  readonly graceMs: number
  readonly send: (message: Request | { readonly type: typeof MESSAGE.CANCEL; readonly id: number }) => void
  /** The stream with this number, named by a result. */
  readonly named: (number: number) => ByteStream
  /** A result nobody waits for any more: what it opened must be closed. */
  readonly onUnwanted: (operation: OperationName, answer: Answer, handle: number) => void
}

/** Requests of one session: ids that only grow, at most `maxInFlight` unanswered, an answer or a deadline for each. */
export class Requests {
  readonly #options: RequestsOptions
  readonly #inFlight = new Map<number, Call>()
  readonly #queued: Call[] = []
  #lastId = 0
  #failure: AuthorityError | null = null

  constructor(options: RequestsOptions) {
    this.#options = options
  }

  /** Unanswered requests whose result would hold a stream: as many streams may speak before they were named. */
  get openings(): number {
    let count = 0
    for (const { operation } of this.#inFlight.values()) if (streamIndex(operation) >= 0) count++
    return count
  }

  /** Performs one operation. Rejects with what the gate answers, E_TIMEOUT, E_CANCELLED, or what ended the session. */
  call(operation: OperationName, args: Values, handle: number, limit: Limit): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) throw this.#failure
      checkArguments(operationRow(operation).args, args, operation)
      const call: Call = { operation, args, handle, limit, id: 0, resolve, reject, unwatch: null }
      call.unwatch = watch(limit, operation, (error) => this.#abandon(call, error), this.#options.graceMs)
      this.#queued.push(call)
      this.#pump()
    })
  }

  /** Throws E_PROTOCOL when the answer belongs to no request, or the result is not what the operation declares. */
  onAnswer(answer: Result | ErrorReply): void {
    const call = this.#inFlight.get(answer.id)
    if (call === undefined) throw new Failure('E_PROTOCOL', `an answer to request ${answer.id}, which is not under way`)
    this.#inFlight.delete(answer.id)
    const wanted = call.unwatch !== null
    call.unwatch?.()
    if (answer.type === MESSAGE.ERROR) call.reject(errorOfReply(answer))
    else this.#onResult(call, answer.result, wanted)
    this.#pump()
  }

  #onResult(call: Call, values: Values, wanted: boolean): void {
    const at = streamIndex(call.operation)
    let answer: Answer
    try {
      checkArguments(operationRow(call.operation).result, values, `result of ${call.operation}`)
      answer = { values, stream: at < 0 ? null : this.#options.named(values[at] as number) }
    } catch (error) {
      call.reject(faulty(error as AuthorityError))
      throw error
    }
    if (wanted) call.resolve(answer)
    else this.#options.onUnwanted(call.operation, answer, call.handle)
  }

  /** Ends every call with the same error, now and from now on. */
  fail(error: AuthorityError): void {
    this.#failure ??= error
    const calls = [...this.#inFlight.values(), ...this.#queued.splice(0)]
    this.#inFlight.clear()
    for (const call of calls) {
      call.unwatch?.()
      call.reject(error)
    }
  }

  #pump(): void {
    while (this.#inFlight.size < this.#options.maxInFlight) {
      const call = this.#queued.shift()
      if (call === undefined) return
      const id = ++this.#lastId
      call.id = id
      this.#inFlight.set(id, call)
      try {
        this.#options.send({
          type: MESSAGE.REQUEST,
          id,
          operation: operationRow(call.operation).code,
          deadlineMs: Math.max(1, Math.ceil(call.limit.at - performance.now())),
          handle: call.handle,
          args: call.args,
        })
      } catch (error) {
        // It could not be written as a frame, so the gate never saw it.
        this.#inFlight.delete(id)
        call.unwatch?.()
        call.reject(error as AuthorityError)
      }
    }
  }

  #abandon(call: Call, error: AuthorityError): void {
    call.unwatch = null
    call.reject(error)
    const queued = this.#queued.indexOf(call)
    if (queued >= 0) this.#queued.splice(queued, 1)
    if (this.#inFlight.has(call.id)) this.#options.send({ type: MESSAGE.CANCEL, id: call.id })
  }
}

/** Where the result of an operation names a stream, or −1. */
function streamIndex(operation: OperationName): number {
  return operationRow(operation).result.findIndex((field) => field.name === 'stream')
}
