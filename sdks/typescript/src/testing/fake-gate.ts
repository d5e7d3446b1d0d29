import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type ClientMessage,
  encodeFrame,
  type GateMessage,
  itemOf,
  LinkReader,
  MAX_FRAME_BYTES,
  MESSAGE,
  parseClientMessage,
  type Request,
  type WireValue,
} from '@authority/protocol'

export const WELCOME: GateMessage = {
  type: MESSAGE.WELCOME,
  version: 1,
  generation: 1,
  run: '00112233445566778899aabbccddeeff',
  maxInFlight: 256,
  maxStreams: 256,
  streamCredit: 262144,
  handle: 0,
}

/** One client's connection, seen from the gate: says what the test says, and remembers what it heard. */
export class FakeSession {
  readonly heard: ClientMessage[] = []
  readonly #socket: Socket
  #wake: (() => void)[] = []

  constructor(socket: Socket, onMessage: (message: ClientMessage, session: FakeSession) => void) {
    this.#socket = socket
    const reader = new LinkReader({ maxFrameBytes: MAX_FRAME_BYTES })
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Uint8Array) =>
      reader.push(chunk, (_, item) => {
        const message = parseClientMessage(item)
        this.heard.push(message)
        onMessage(message, this)
        for (const wake of this.#wake.splice(0)) wake()
      }),
    )
  }

  send(message: GateMessage): void {
    this.item(itemOf(message))
  }

  item(item: WireValue): void {
    this.raw(encodeFrame(0, item))
  }

  raw(bytes: Uint8Array): void {
    if (!this.#socket.destroyed) this.#socket.write(bytes)
  }

  close(): void {
    this.#socket.end()
  }

  /** Resolves with the first message that matches, also when it has come already. */
  async hears<T extends ClientMessage>(matches: (message: ClientMessage) => message is T): Promise<T> {
    for (;;) {
      const found = this.heard.find(matches)
      if (found !== undefined) return found
      await new Promise<void>((resolve) => this.#wake.push(resolve))
    }
  }
}

export interface FakeGate extends AsyncDisposable {
  readonly socket: string
  readonly sessions: FakeSession[]
}

/** A gate on a socket of its own that does what `onMessage` does. */
export async function fakeGate(onMessage: (message: ClientMessage, session: FakeSession) => void): Promise<FakeGate> {
  const folder = mkdtempSync(join(tmpdir(), 'authority-sdk-'))
  const socket = join(folder, 'gate.sock')
  const sessions: FakeSession[] = []
  const sockets: Socket[] = []
  const server = createServer((client) => {
    sockets.push(client)
    sessions.push(new FakeSession(client, onMessage))
  })
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  return {
    socket,
    sessions,
    [Symbol.asyncDispose]: async () => {
      for (const each of sockets) each.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Welcomes, and hands on requests. */
export function welcoming(onRequest: (request: Request, session: FakeSession) => void, welcome: Partial<typeof WELCOME> = {}) {
  return (message: ClientMessage, session: FakeSession): void => {
    if (message.type === MESSAGE.HELLO) session.send({ ...WELCOME, ...welcome } as GateMessage)
    else if (message.type === MESSAGE.REQUEST) onRequest(message, session)
  }
}

export function result(request: Request, ...values: WireValue[]): GateMessage {
  return { type: MESSAGE.RESULT, id: request.id, result: values }
}
