import { connect, type Socket } from 'node:net'
import {
  AuthorityError,
  encodeMessage,
  errorOf,
  type GateMessage,
  GENERATION,
  LinkReader,
  MAX_FRAME_BYTES,
  MESSAGE,
  OPERATIONS,
  type OperationName,
  PROTOCOL_VERSION,
  parseGateMessage,
  type WireValue,
} from '@authority/protocol'
import { CliError } from './errors.ts'

const SOCKET = 'control.sock'
/** ms for connecting and for one answer: the gate answers its operator at once. */
const DEADLINE_MS = 10_000

/** The operator's side of a living run. One request at a time. */
export interface ControlClient {
  /** Throws AuthorityError: what the gate answered, E_TIMEOUT, or E_UPSTREAM when it went away. */
  request(operation: OperationName, args: readonly WireValue[]): Promise<readonly WireValue[]>
  close(): void
}

/** Talks to the gate of the run in this folder. Throws CliError `gate` when none answers. */
export async function connectControl(folder: string): Promise<ControlClient> {
  const socket = await open(folder)
  const client = new Client(socket)
  try {
    await client.hello()
    return client
  } catch (error) {
    client.close()
    throw error
  }
}

/** By a relative name from the folder itself: its whole path may be longer than what a socket's address holds. */
async function open(folder: string): Promise<Socket> {
  const back = process.cwd()
  process.chdir(folder)
  try {
    return await new Promise<Socket>((resolve, reject) => {
      const socket = connect(SOCKET)
      const timer = setTimeout(() => socket.destroy(new Error('no answer')), DEADLINE_MS)
      socket.once('connect', () => {
        clearTimeout(timer)
        resolve(socket)
      })
      socket.once('error', (cause) => {
        clearTimeout(timer)
        reject(
          new CliError('gate', `the gate of this run does not answer: ${cause.message}`, '`authority runs ls` tells which runs are alive', {
            cause,
          }),
        )
      })
    })
  } finally {
    process.chdir(back)
  }
}

class Client implements ControlClient {
  private readonly socket: Socket
  private readonly reader = new LinkReader({ maxFrameBytes: MAX_FRAME_BYTES })
  private waiting: { resolve: (message: GateMessage) => void; reject: (error: Error) => void } | null = null
  private nextId = 1

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Uint8Array) => this.received(chunk))
    socket.on('error', (error) => this.fail(new AuthorityError('E_UPSTREAM', `the gate went away: ${error.message}`)))
    socket.on('close', () => this.fail(new AuthorityError('E_UPSTREAM', 'the gate closed the connection')))
  }

  async hello(): Promise<void> {
    const answer = await this.exchange(
      encodeMessage(0, {
        type: MESSAGE.HELLO,
        version: PROTOCOL_VERSION,
        generation: GENERATION,
        client: 'authority operator',
        token: null,
      }),
    )
    if (answer.type !== MESSAGE.WELCOME) throw refused(answer)
  }

  async request(operation: OperationName, args: readonly WireValue[]): Promise<readonly WireValue[]> {
    const id = this.nextId++
    const answer = await this.exchange(
      encodeMessage(0, { type: MESSAGE.REQUEST, id, operation: OPERATIONS[operation].code, deadlineMs: DEADLINE_MS, handle: 0, args }),
    )
    if (answer.type === MESSAGE.RESULT && answer.id === id) return answer.result
    throw refused(answer)
  }

  close(): void {
    this.socket.destroy()
  }

  private exchange(frame: Uint8Array): Promise<GateMessage> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.fail(new AuthorityError('E_TIMEOUT', `the gate did not answer within ${DEADLINE_MS} ms`)),
        DEADLINE_MS,
      )
      const settled =
        <T>(then: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(timer)
          this.waiting = null
          then(value)
        }
      this.waiting = { resolve: settled(resolve), reject: settled(reject) }
      this.socket.write(frame)
    })
  }

  private received(chunk: Uint8Array): void {
    try {
      this.reader.push(chunk, (_session, item) => this.waiting?.resolve(parseGateMessage(item)))
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)))
    }
  }

  private fail(error: Error): void {
    this.waiting?.reject(error)
  }
}

function refused(answer: GateMessage): AuthorityError {
  if (answer.type === MESSAGE.ERROR || answer.type === MESSAGE.GOODBYE) return errorOf(answer)
  return new AuthorityError('E_PROTOCOL', `the gate answered with message ${answer.type}`)
}
