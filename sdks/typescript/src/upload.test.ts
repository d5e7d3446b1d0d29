import { type ClientMessage, ERROR_CODES, MESSAGE, type StreamReset } from '@authority/protocol'
import { expect, test } from 'vitest'
import { connect } from './client.ts'
import { type FakeGate, type FakeSession, fakeGate, result, welcoming } from './testing/fake-gate.ts'
import type { Body } from './upload.ts'

const FETCH = 0x0202
const BODY = 0x0207
const CHUNK = 64 * 1024
const OK = [200, 'http://a.example/', [], 2] as const
const isReset = (message: ClientMessage): message is StreamReset => message.type === MESSAGE.STREAM_RESET && message.stream === 1
const isEnd = (message: ClientMessage): message is Extract<ClientMessage, { type: typeof MESSAGE.STREAM_END }> =>
  message.type === MESSAGE.STREAM_END && message.stream === 1

/** Streams 1 for a body and 2 for an answer. `onFetch` decides what becomes of the request. */
function bodyGate(onFetch: (session: FakeSession, id: number) => void): Promise<FakeGate> {
  return fakeGate(
    welcoming((request, session) => {
      if (request.operation === BODY) {
        session.send({ type: MESSAGE.STREAM_END, stream: 1 })
        session.send(result(request, 9, 1))
      }
      if (request.operation === FETCH) onFetch(session, request.id)
    }),
  )
}

function answer(session: FakeSession, id: number): void {
  session.send({ type: MESSAGE.RESULT, id, result: OK })
}

const cancelled = { type: MESSAGE.STREAM_RESET, stream: 1, code: ERROR_CODES.E_CANCELLED.code, message: 'over' } as const

function sent(gate: FakeGate): string {
  const data = (gate.sessions[0]?.heard ?? []).flatMap((message) => (message.type === MESSAGE.STREAM_DATA ? [message.data] : []))
  return Buffer.concat(data).toString()
}

test.each<[string, () => Body, number | null]>([
  [
    'an async iterable',
    async function* () {
      yield 'one'
      yield new Uint8Array([33])
    },
    null,
  ],
  ['an iterable', () => ['one', new Uint8Array([33])], null],
  ['a ReadableStream', () => new Response('one!').body as ReadableStream<Uint8Array>, null],
  ['a Blob', () => new Blob(['one', '!']), 4],
])('%s is streamed', async (_name, body, bytes) => {
  await using gate = await bodyGate(answer)
  await using client = await connect({ socket: gate.socket, token: null })
  await client.net.fetch('http://a.example/', { method: 'POST', body: body() })
  await gate.sessions[0]?.hears(isEnd)
  expect(sent(gate)).toBe('one!')
  const asked = gate.sessions[0]?.heard.find((message) => message.type === MESSAGE.REQUEST && message.operation === FETCH)
  expect(asked).toMatchObject({ args: ['POST', 'http://a.example/', [], null, 64 << 20, 60_000, 10, 9, bytes] })
})

test('no more of a body is read than the gate has room for, and an answer that comes first stops it', async () => {
  let yielded = 0
  let stopped = false
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        yielded += 1
        yield new Uint8Array(CHUNK)
      }
    } finally {
      stopped = true
    }
  }
  await using gate = await bodyGate(answer)
  await using client = await connect({ socket: gate.socket, token: null })
  await client.net.fetch('http://a.example/', { method: 'POST', body: endless() })
  await client.net.fetch('http://a.example/').catch(() => undefined)
  expect(yielded).toBeLessThanOrEqual(5)
  gate.sessions[0]?.send(cancelled)
  await expect.poll(() => stopped).toBe(true)
  expect(gate.sessions[0]?.heard.some(isReset)).toBe(false)
})

test('a stream that is silent is cancelled as soon as the exchange is over', async () => {
  let cancel: (reason: unknown) => void = () => undefined
  const over = new Promise((resolve) => {
    cancel = resolve
  })
  const silent = new ReadableStream<Uint8Array>({ cancel: (reason) => cancel(reason) })
  await using gate = await bodyGate(answer)
  await using client = await connect({ socket: gate.socket, token: null })
  await client.net.fetch('http://a.example/', { method: 'POST', body: silent })
  gate.sessions[0]?.send(cancelled)
  await over
})

test('what a body throws is what fetch throws, and the gate hears of it', async () => {
  async function* broken(): AsyncGenerator<string> {
    yield 'begun'
    throw new RangeError('mine')
  }
  await using gate = await bodyGate(() => undefined)
  await using client = await connect({ socket: gate.socket, token: null })
  await expect(client.net.fetch('http://a.example/', { method: 'POST', body: broken() })).rejects.toThrow(new RangeError('mine'))
  await gate.sessions[0]?.hears(isReset)
})

test('a refusal stops the body', async () => {
  const silent = new ReadableStream<Uint8Array>({})
  await using gate = await bodyGate((session, id) =>
    session.send({ type: MESSAGE.ERROR, id, code: ERROR_CODES.E_POLICY_DENY.code, message: 'no', errno: 'EACCES', denial: null }),
  )
  await using client = await connect({ socket: gate.socket, token: null })
  await expect(client.net.fetch('http://a.example/', { method: 'POST', body: silent })).rejects.toMatchObject({ code: 'E_POLICY_DENY' })
  await gate.sessions[0]?.hears(isReset)
})
