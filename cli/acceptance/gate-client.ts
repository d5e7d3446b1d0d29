/** A client of `authority gate serve` that says what the SDKs would not, and remembers all it hears. */
import { connect, type Socket } from 'node:net'
import {
  encodeMessage,
  errorCodeOf,
  type GateMessage,
  LinkReader,
  MAX_CHUNK_BYTES,
  MAX_FRAME_BYTES,
  MESSAGE,
  OPERATIONS,
  type OperationName,
  parseGateMessage,
  type WireValue,
} from '@authority/protocol'

export type Answer = readonly WireValue[] | string

/** What came on a stream until its end: a code when it or the session was ended with one, `gone` when the gate went. */
export interface Heard {
  readonly bytes: Buffer
  readonly ended: 'end' | string
}

/** One client on the gate's socket. */
export class GateClient {
  private readonly socket: Socket
  private readonly reader = new LinkReader({ maxFrameBytes: MAX_FRAME_BYTES })
  private readonly waiting = new Map<number, (answer: Answer) => void>()
  private readonly streams = new Map<number, { readonly parts: Buffer[]; readonly heard: PromiseWithResolvers<Heard> }>()
  private nextId = 1
  /** Why the gate said goodbye. */
  private goodbye: string | null = null
  private room: () => void = () => undefined
  private greet: () => void = () => undefined

  private constructor(socket: Socket) {
    this.socket = socket
  }

  static async connect(path: string): Promise<GateClient> {
    const socket = connect(path)
    const client = new GateClient(socket)
    const greeted = new Promise<void>((done, failed) => {
      client.greet = done
      socket.once('error', failed)
    })
    socket.on('data', (chunk: Buffer) => client.take(chunk))
    socket.on('drain', () => client.room())
    socket.on('close', () => client.gone())
    socket.write(encodeMessage(0, { type: MESSAGE.HELLO, version: 1, generation: 1, client: 'load', token: null }))
    await greeted
    socket.on('error', () => undefined)
    return client
  }

  /** The result, a code, or `gone` when the gate is. */
  call(operation: OperationName, args: readonly WireValue[]): Promise<Answer> {
    if (this.socket.destroyed) return Promise.resolve('gone')
    const id = this.nextId++
    const answered = new Promise<Answer>((done) => this.waiting.set(id, done))
    this.socket.write(
      encodeMessage(0, { type: MESSAGE.REQUEST, id, operation: OPERATIONS[operation].code, deadlineMs: 0, handle: 0, args }),
    )
    return answered
  }

  send(stream: number, data: Uint8Array): void {
    if (!this.socket.destroyed) this.socket.write(encodeMessage(0, { type: MESSAGE.STREAM_DATA, stream, data }))
  }

  endStream(stream: number): void {
    if (!this.socket.destroyed) this.socket.write(encodeMessage(0, { type: MESSAGE.STREAM_END, stream }))
  }

  /** So many chunks without regard to credit, as fast as the gate reads them, until it hangs up. */
  async flood(stream: number, chunks: number): Promise<void> {
    const chunk = encodeMessage(0, { type: MESSAGE.STREAM_DATA, stream, data: Buffer.alloc(MAX_CHUNK_BYTES, 0x61) })
    for (let sent = 0; sent < chunks && !this.socket.destroyed; sent++) {
      if (this.socket.write(chunk)) continue
      await new Promise<void>((resolve) => {
        this.room = resolve
      })
    }
  }

  /** All that came on a stream, once it has ended. */
  heard(stream: number): Promise<Heard> {
    const { promise } = this.streamOf(stream).heard
    if (this.socket.destroyed) this.over(stream, this.goodbye ?? 'gone')
    return promise
  }

  close(): void {
    this.socket.destroy()
  }

  private take(chunk: Buffer): void {
    this.reader.push(chunk, (_session, item) => this.hear(parseGateMessage(item)))
  }

  private hear(message: GateMessage): void {
    switch (message.type) {
      case MESSAGE.WELCOME:
        return this.greet()
      case MESSAGE.RESULT:
        return this.settle(message.id, message.result)
      case MESSAGE.ERROR:
        return this.settle(message.id, errorCodeOf(message.code) ?? '?')
      case MESSAGE.STREAM_DATA:
        return void this.streamOf(message.stream).parts.push(Buffer.from(message.data))
      case MESSAGE.STREAM_END:
        return this.over(message.stream, 'end')
      case MESSAGE.GOODBYE:
        this.goodbye = errorCodeOf(message.code) ?? '?'
        return
      case MESSAGE.STREAM_RESET:
        return this.over(message.stream, errorCodeOf(message.code) ?? '?')
    }
  }

  private streamOf(number: number) {
    const known = this.streams.get(number)
    if (known !== undefined) return known
    const made = { parts: [], heard: Promise.withResolvers<Heard>() }
    this.streams.set(number, made)
    return made
  }

  private over(number: number, ended: string): void {
    const { parts, heard } = this.streamOf(number)
    heard.resolve({ bytes: Buffer.concat(parts), ended })
  }

  private settle(id: number, answer: Answer): void {
    this.waiting.get(id)?.(answer)
    this.waiting.delete(id)
  }

  private gone(): void {
    for (const id of [...this.waiting.keys()]) this.settle(id, 'gone')
    for (const number of this.streams.keys()) this.over(number, this.goodbye ?? 'gone')
    this.room()
  }
}
