import { createConnection, type Socket } from 'node:net'
import {
  AuthorityError,
  type ClientMessage,
  encodeMessage,
  type GateMessage,
  GENERATION,
  LinkReader,
  MAX_FRAME_BYTES,
  MESSAGE,
  type OperationName,
  PROTOCOL_VERSION,
  parseGateMessage,
  type Welcome,
  type WireValue,
} from '@authority/protocol'
import { faulty, lost, lostByGoodbye } from './errors.ts'
import { ANSWER_GRACE_MS, CLIENT_NAME, CLOSE_TIMEOUT_MS } from './limits.ts'
import { type Answer, Requests } from './requests.ts'
import type { ByteStream } from './stream.ts'
import { Streams } from './streams.ts'
import { type Limit, limitOf, watch } from './wait.ts'

export interface ConnectionOptions {
  readonly socket: string
  readonly token: string | null
  /** ms each call waits by default. */
  readonly timeoutMs: number
  readonly graceMs?: number
}

export interface OpenedStream {
  readonly values: readonly WireValue[]
  readonly stream: ByteStream
}

/** One session with the gate over a unix socket. */
export class Connection {
  readonly timeoutMs: number
  readonly #socket: Socket
  readonly #graceMs: number
  readonly #reader = new LinkReader({ maxFrameBytes: MAX_FRAME_BYTES })
  #welcome: Welcome | null = null
  #onWelcome: ((welcome: Welcome) => void) | null = null
  #requests: Requests | null = null
  #streams: Streams | null = null
  #failure: AuthorityError | null = null
  #onFailure: ((error: AuthorityError) => void) | null = null

  private constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket
    this.timeoutMs = options.timeoutMs
    this.#graceMs = options.graceMs ?? ANSWER_GRACE_MS
    socket.on('data', (chunk: Uint8Array) => this.#receive(chunk))
    socket.on('error', (error) => this.#fail(lost(`the connection to the gate failed: ${error.message}`, error)))
    socket.on('close', () => this.#fail(lost('the gate closed the connection')))
    // Whoever waits has a timer that keeps the program alive; an idle session must not.
    socket.unref()
  }

  /** Connects, says hello and is welcomed, all within `limit`. Throws ConnectionLost, CapabilityError, or E_TIMEOUT. */
  static async open(options: ConnectionOptions, limit: Limit): Promise<Connection> {
    const socket = await dial(options.socket, limit)
    const connection = new Connection(socket, options)
    try {
      await connection.#hello(options.token, limit)
      return connection
    } catch (error) {
      socket.destroy()
      throw error
    }
  }

  get run(): string {
    return this.#session.welcome.run
  }

  /** One operation. Throws what the gate answers, E_TIMEOUT, E_CANCELLED, or what ended the session. */
  async call(operation: OperationName, args: readonly WireValue[], handle: number, limit: Limit): Promise<readonly WireValue[]> {
    return (await this.#session.requests.call(operation, args, handle, limit)).values
  }

  /** The same for an operation whose result names a stream. */
  async open(operation: OperationName, args: readonly WireValue[], handle: number, limit: Limit): Promise<OpenedStream> {
    const { values, stream } = await this.#session.requests.call(operation, args, handle, limit)
    return { values, stream: stream as ByteStream }
  }

  /** Ends the session: the gate aborts what is under way and closes files and streams. */
  async close(): Promise<void> {
    this.#fail(new AuthorityError('E_CANCELLED', 'the client was closed'), false)
    if (this.#socket.closed) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#socket.destroy(), CLOSE_TIMEOUT_MS)
      this.#socket.once('close', () => {
        clearTimeout(timer)
        resolve()
      })
      this.#socket.end()
    })
  }

  async #hello(token: string | null, limit: Limit): Promise<void> {
    const welcome = await new Promise<Welcome>((resolve, reject) => {
      const unwatch = watch(limit, 'waiting for the gate to welcome this client', reject)
      this.#onWelcome = (message) => {
        unwatch()
        resolve(message)
      }
      this.#onFailure = (error) => {
        unwatch()
        reject(error)
      }
      this.#send({ type: MESSAGE.HELLO, version: PROTOCOL_VERSION, generation: GENERATION, client: CLIENT_NAME, token })
    })
    this.#onFailure = null
    this.#welcome = welcome
  }

  #begin(welcome: Welcome): void {
    const send = (message: ClientMessage): void => this.#send(message)
    const requests = new Requests({
      maxInFlight: welcome.maxInFlight,
      graceMs: this.#graceMs,
      send,
      named: (number) => streams.named(number),
      onUnwanted: (operation, answer, handle) => this.#undo(operation, answer, handle),
    })
    const streams = new Streams({
      credit: welcome.streamCredit,
      maxStreams: welcome.maxStreams,
      timeoutMs: this.timeoutMs,
      send,
      openings: () => requests.openings,
    })
    this.#requests = requests
    this.#streams = streams
  }

  /** An answer came after its caller had given up: what it opened is closed again. */
  #undo(operation: OperationName, answer: Answer, handle: number): void {
    const limit = limitOf(undefined, this.timeoutMs)
    const opened = answer.values[0] as WireValue
    if (operation === 'fs.open') this.call('fs.close', [opened], handle, limit).catch(() => undefined)
    else if (operation === 'cap.bind') this.call('cap.release', [opened], 0, limit).catch(() => undefined)
    else void answer.stream?.close()
  }

  #receive(chunk: Uint8Array): void {
    try {
      // The runtime's chunks are Buffers, whose methods differ; callers are promised Uint8Array.
      const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength)
      this.#reader.push(bytes, (session, item) => {
        if (session !== 0) throw new AuthorityError('E_PROTOCOL', `session ${session} on a socket that carries session 0 only`)
        this.#dispatch(parseGateMessage(item, this.#welcome?.generation))
      })
    } catch (error) {
      this.#break(error)
    }
  }

  #dispatch(message: GateMessage): void {
    if (this.#failure !== null) return
    if (message.type === MESSAGE.WELCOME) return this.#welcomed(message)
    if (message.type === MESSAGE.GOODBYE) {
      this.#fail(lostByGoodbye(message))
      return
    }
    const { requests, streams } = this.#session
    if (message.type === MESSAGE.RESULT || message.type === MESSAGE.ERROR) {
      requests.onAnswer(message)
      return streams.settle()
    }
    streams.onMessage(message)
  }

  #welcomed(welcome: Welcome): void {
    if (this.#welcome !== null) throw new AuthorityError('E_PROTOCOL', 'a second welcome')
    this.#welcome = welcome
    this.#begin(welcome)
    this.#onWelcome?.(welcome)
  }

  get #session(): { readonly welcome: Welcome; readonly requests: Requests; readonly streams: Streams } {
    const [welcome, requests, streams] = [this.#welcome, this.#requests, this.#streams]
    if (welcome === null || requests === null || streams === null)
      throw new AuthorityError('E_PROTOCOL', 'the gate spoke before it welcomed this client')
    return { welcome, requests, streams }
  }

  #send(message: ClientMessage): void {
    if (this.#failure === null) this.#socket.write(encodeMessage(0, message))
  }

  #break(error: unknown): AuthorityError {
    const cause = error instanceof AuthorityError ? error : new AuthorityError('E_INTERNAL', 'a fault in this client', { cause: error })
    return this.#fail(faulty(cause))
  }

  /** The first failure is the one everybody is told. */
  #fail(error: AuthorityError, destroy = true): AuthorityError {
    if (this.#failure !== null) return this.#failure
    this.#failure = error
    this.#reader.stop()
    this.#onFailure?.(error)
    this.#requests?.fail(error)
    this.#streams?.fail(error)
    if (destroy) this.#socket.destroy()
    return error
  }
}

function dial(path: string, limit: Limit): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path })
    const failed = (error: Error): void => {
      unwatch()
      socket.destroy()
      reject(error instanceof AuthorityError ? error : unreachable(path, error))
    }
    const unwatch = watch(limit, `connecting to the gate at ${path}`, failed)
    socket.once('error', failed)
    socket.once('connect', () => {
      unwatch()
      socket.removeListener('error', failed)
      resolve(socket)
    })
  })
}

function unreachable(path: string, cause: Error): AuthorityError {
  const code = (cause as NodeJS.ErrnoException).code ?? cause.message
  return lost(
    `there is no gate at ${path} (${code}): run this program with \`authority run\` or under \`authority gate serve --policy FILE -- CMD\`, or set AUTHORITY_SOCKET`,
    cause,
  )
}
