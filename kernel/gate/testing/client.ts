/** The other end of a session in these tests: a transport in memory, and a client that speaks the protocol as SPEC.md says, or whatever bytes it is told to. */
import {
  type ClientMessage,
  encodeMessage,
  errorCodeOf,
  type GateMessage,
  LinkReader,
  MAX_FRAME_BYTES,
  MESSAGE,
  OPERATIONS,
  type OperationName,
  parseGateMessage,
  type WireValue,
} from '@authority/protocol'
import type { Transport } from '../transport.ts'

/** The gate's end. What the gate writes is `queued` until the peer takes it. */
export class MemoryTransport implements Transport {
  onData: ((chunk: Uint8Array) => void) | null = null
  onDrain: (() => void) | null = null
  onClose: (() => void) | null = null
  /** The peer takes what is written at once. */
  reads = true
  paused = false
  closed = false
  /** Most bytes that were ever queued. */
  highest = 0
  private readonly pending: Uint8Array[] = []
  private pendingBytes = 0
  private readonly arrived: Uint8Array[] = []
  private readonly onTaken: (bytes: Uint8Array) => void

  constructor(onTaken: (bytes: Uint8Array) => void) {
    this.onTaken = onTaken
  }

  get queued(): number {
    return this.pendingBytes
  }

  write(bytes: Uint8Array): void {
    if (this.closed) return
    if (this.reads && this.pendingBytes === 0) return this.onTaken(bytes)
    this.pending.push(bytes.slice())
    this.pendingBytes += bytes.length
    this.highest = Math.max(this.highest, this.pendingBytes)
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    while (!this.paused && !this.closed) {
      const chunk = this.arrived.shift()
      if (chunk === undefined) return
      this.onData?.(chunk)
    }
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.onClose?.()
  }

  // ── the peer's side ──

  /** Bytes not delivered because the gate does not listen. */
  get held(): number {
    return this.arrived.reduce((sum, chunk) => sum + chunk.length, 0)
  }

  arrive(chunk: Uint8Array): void {
    if (this.closed) return
    if (this.paused) this.arrived.push(chunk)
    else this.onData?.(chunk)
  }

  /** The peer reads again. */
  drain(): void {
    this.reads = true
    for (const bytes of this.pending.splice(0)) this.onTaken(bytes)
    this.pendingBytes = 0
    this.onDrain?.()
  }
}

export type Received = GateMessage & { readonly session: number }

export class Peer {
  readonly transport: MemoryTransport
  readonly received: Received[] = []
  /** Items of session 0 on a link. */
  readonly control: Uint8Array[] = []
  /** 0 on a socket; on a link the number of the session it speaks for by default. */
  session = 0
  nextId = 1
  private readonly link: boolean
  private readonly reader = new LinkReader({ maxFrameBytes: MAX_FRAME_BYTES })
  private readonly waiting: { readonly test: () => boolean; readonly resolve: () => void }[] = []

  constructor(options: { readonly link?: boolean } = {}) {
    this.link = options.link === true
    this.transport = new MemoryTransport((bytes) => this.take(bytes))
  }

  bytes(chunk: Uint8Array): void {
    this.transport.arrive(chunk)
  }

  hex(text: string): void {
    this.bytes(Buffer.from(text, 'hex'))
  }

  send(message: ClientMessage, session = this.session): void {
    this.bytes(encodeMessage(session, message))
  }

  hello(token: string | null = null, session = this.session): void {
    this.send({ type: MESSAGE.HELLO, version: 1, generation: 1, client: 'test', token }, session)
  }

  /** Returns the id. */
  request(
    operation: OperationName,
    args: readonly WireValue[],
    more: { handle?: number; deadlineMs?: number; session?: number } = {},
  ): number {
    const id = this.nextId++
    const { handle = 0, deadlineMs = 0, session = this.session } = more
    this.send({ type: MESSAGE.REQUEST, id, operation: OPERATIONS[operation].code, deadlineMs, handle, args }, session)
    return id
  }

  /** The result, or the name of the error's code. */
  async call(
    operation: OperationName,
    args: readonly WireValue[],
    more: Parameters<Peer['request']>[2] = {},
  ): Promise<readonly WireValue[] | string> {
    const id = this.request(operation, args, more)
    const answer = await this.answer(id, more.session)
    return answer.type === MESSAGE.RESULT ? answer.result : (errorCodeOf(answer.code) ?? '?')
  }

  async answer(id: number, session = this.session): Promise<Extract<Received, { type: 4 | 5 }>> {
    const found = (): Received | undefined =>
      this.received.find(
        (message) =>
          (message.type === MESSAGE.RESULT || message.type === MESSAGE.ERROR) && message.id === id && message.session === session,
      )
    await this.until(() => found() !== undefined || this.transport.closed)
    const answer = found()
    if (answer === undefined || (answer.type !== MESSAGE.RESULT && answer.type !== MESSAGE.ERROR)) throw new Error(`no answer to ${id}`)
    return answer
  }

  /** Names and codes of all messages so far, as in conversations.json. */
  get names(): string[] {
    return this.received.map((message) => {
      const name = Object.entries(MESSAGE).find(([, number]) => number === message.type)?.[0] ?? '?'
      return 'code' in message ? `${name} ${errorCodeOf(message.code)}` : name
    })
  }

  /** Bytes of a stream received so far. */
  streamed(stream: number): Buffer {
    return Buffer.concat(
      this.received.flatMap((message) => (message.type === MESSAGE.STREAM_DATA && message.stream === stream ? [message.data] : [])),
    )
  }

  until(test: () => boolean): Promise<void> {
    if (test()) return Promise.resolve()
    return new Promise((resolve) => this.waiting.push({ test, resolve }))
  }

  private take(bytes: Uint8Array): void {
    this.reader.push(bytes.slice(), (session, item) => {
      if (this.link && session === 0) this.control.push(item)
      else this.received.push({ ...parseGateMessage(item), session })
    })
    this.check()
  }

  /** Looks again at what is waited for. */
  check(): void {
    for (const entry of this.waiting.splice(0)) {
      if (entry.test()) entry.resolve()
      else this.waiting.push(entry)
    }
  }
}
