import { AuthorityError, type Cancel, type ClientMessage, ERROR_CODES, MESSAGE, type Request, type StreamReset } from '@authority/protocol'
import { expect, test } from 'vitest'
import { Client, connect } from './client.ts'
import { Connection } from './connection.ts'
import { type FakeSession, fakeGate, result, welcoming } from './testing/fake-gate.ts'
import { limitOf } from './wait.ts'

const PING = 0x0001
const FS_OPEN = 0x0100
const FS_CLOSE = 0x0104
const CONNECT = 0x0201
const CHUNK = 64 * 1024
const isCancel = (message: ClientMessage): message is Cancel => message.type === MESSAGE.CANCEL
const isReset = (message: ClientMessage): message is StreamReset => message.type === MESSAGE.STREAM_RESET
const requests = (session: FakeSession | undefined): Request[] =>
  (session?.heard ?? []).filter((message): message is Request => message.type === MESSAGE.REQUEST)

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'nothing failed',
    (error: unknown) => (error instanceof AuthorityError ? error.code : String(error)),
  )
}

test('says hello with the newest generation, its name and the token', async () => {
  await using gate = await fakeGate(welcoming(() => undefined))
  await using client = await connect({ socket: gate.socket, token: 'cap1_x' })
  expect(client.run).toBe('00112233445566778899aabbccddeeff')
  expect(gate.sessions[0]?.heard[0]).toMatchObject({ version: 1, generation: 1, token: 'cap1_x' })
})

test('sends a deadline, ids that grow, and the handle of a bound view', async () => {
  await using gate = await fakeGate(
    welcoming((request, session) => session.send(request.operation === 0x0010 ? result(request, 5) : result(request, new Uint8Array(0)))),
  )
  await using client = await connect({ socket: gate.socket, token: null })
  await client.ping({ timeoutMs: 1234 })
  const view = await client.bind('cap1_x')
  await view.ping()
  const [first, , third] = requests(gate.sessions[0])
  expect(first).toMatchObject({ id: 1, operation: PING, handle: 0 })
  expect(first?.deadlineMs).toBeGreaterThan(1000)
  expect(first?.deadlineMs).toBeLessThanOrEqual(1234)
  expect(third).toMatchObject({ id: 3, handle: 5 })
})

test('keeps to the requests the gate lets be in flight, and answers in any order find their calls', async () => {
  const held: Request[] = []
  let most = 0
  await using gate = await fakeGate(
    welcoming(
      (request, session) => {
        held.push(request)
        most = Math.max(most, held.length)
        if (held.length < 3 && request.id < 18) return
        for (const each of held.splice(0).reverse()) session.send(result(each, `/${each.id}`))
      },
      { maxInFlight: 3 },
    ),
  )
  await using client = await connect({ socket: gate.socket, token: null })
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => client.fs.readlink(`/${i + 1}`)))
  expect(answers).toEqual(Array.from({ length: 20 }, (_, i) => `/${i + 1}`))
  expect(most).toBe(3)
})

test('an aborted signal cancels the request and fails the call with its reason', async () => {
  await using gate = await fakeGate(welcoming(() => undefined))
  await using client = await connect({ socket: gate.socket, token: null })
  const abort = new AbortController()
  const call = client.ping({ signal: abort.signal })
  abort.abort(new Error('enough'))
  await expect(call).rejects.toMatchObject({ code: 'E_CANCELLED', cause: abort.signal.reason })
  expect((await gate.sessions[0]?.hears(isCancel))?.id).toBe(1)
  expect(await codeOf(client.ping({ signal: abort.signal }))).toBe('E_CANCELLED')
})

test('what an answer opens that nobody waits for any more is closed again', async () => {
  let answer: (() => void) | undefined
  await using gate = await fakeGate(
    welcoming((request, session) => {
      answer = () => session.send(request.operation === FS_OPEN ? result(request, 7, 0) : result(request, 1, '192.0.2.1'))
    }),
  )
  await using client = await connect({ socket: gate.socket, token: null })
  const [session] = gate.sessions
  for (const call of [
    (signal: AbortSignal) => client.fs.open('/a', 'r', { signal }),
    (signal: AbortSignal) => client.net.connect('a.example', 80, { signal }),
  ]) {
    const abort = new AbortController()
    const opening = call(abort.signal)
    while (requests(session).length === 0 || answer === undefined) await new Promise((resolve) => setImmediate(resolve))
    abort.abort()
    expect(await codeOf(opening)).toBe('E_CANCELLED')
    answer()
    answer = undefined
  }
  const closed = await session?.hears((message): message is Request => message.type === MESSAGE.REQUEST && message.operation === FS_CLOSE)
  expect(closed?.args).toEqual([7])
  expect((await session?.hears(isReset))?.stream).toBe(1)
})

test('bytes of a stream that come before the result that names it are its first', async () => {
  await using gate = await fakeGate(
    welcoming((request, session) => {
      session.send({ type: MESSAGE.STREAM_DATA, stream: 1, data: new TextEncoder().encode('early') })
      session.send({ type: MESSAGE.STREAM_END, stream: 1 })
      session.send(
        result(
          request,
          200,
          'http://a.example/',
          [
            ['X-A', '1'],
            ['x-a', '2'],
            ['__proto__', '3'],
          ],
          1,
        ),
      )
    }),
  )
  await using client = await connect({ socket: gate.socket, token: null })
  const response = await client.net.fetch('http://a.example/', { body: 'x', method: 'POST' })
  expect(response.headers['x-a']).toBe('1, 2')
  expect(Object.keys(response.headers)).toContain('__proto__')
  expect(await response.text()).toBe('early')
  expect(await codeOf(response.text())).toBe('E_CONFLICT')
})

test('gives credit back as it reads, and sends no more than it was granted', async () => {
  let streamed = 0
  let granted = 0
  let received = 0
  await using gate = await fakeGate((message, session) => {
    if (message.type === MESSAGE.REQUEST) session.send(result(message, 1, '192.0.2.1'))
    if (message.type === MESSAGE.STREAM_CREDIT) granted += message.bytes
    if (message.type === MESSAGE.STREAM_DATA) {
      received += message.data.length
      expect(received).toBeLessThanOrEqual(2 * CHUNK + granted)
      session.send({ type: MESSAGE.STREAM_CREDIT, stream: 1, bytes: message.data.length })
    }
    welcoming(() => undefined, { streamCredit: 2 * CHUNK })(message, session)
    while (message.type !== MESSAGE.HELLO && streamed < 10 * CHUNK && streamed < 2 * CHUNK + granted) {
      session.send({ type: MESSAGE.STREAM_DATA, stream: 1, data: new Uint8Array(CHUNK) })
      streamed += CHUNK
      if (streamed === 10 * CHUNK) session.send({ type: MESSAGE.STREAM_END, stream: 1 })
    }
  })
  await using client = await connect({ socket: gate.socket, token: null })
  const stream = await client.net.connect('a.example', 80)
  let length = 0
  const reading = (async () => {
    for await (const part of stream) length += part.length
  })()
  await Promise.all([stream.write(new Uint8Array(7 * CHUNK)), stream.write('more'), reading])
  await stream.end()
  expect([length, received]).toEqual([10 * CHUNK, 7 * CHUNK + 4])
  expect(await codeOf(stream.write('x'))).toBe('E_CANCELLED')
})

test('a write that is not taken times out, and a read leaves the stream usable', async () => {
  await using gate = await fakeGate(welcoming((request, session) => session.send(result(request, 1, '192.0.2.1')), { streamCredit: 10 }))
  await using client = await connect({ socket: gate.socket, token: null })
  const stream = await client.net.connect('a.example', 80)
  expect(stream.address).toBe('192.0.2.1')
  expect(await codeOf(stream.write('01234567890', { timeoutMs: 20 }))).toBe('E_TIMEOUT')
  expect(await codeOf(stream.read({ timeoutMs: 20 }))).toBe('E_TIMEOUT')
  gate.sessions[0]?.send({ type: MESSAGE.STREAM_DATA, stream: 1, data: new Uint8Array(3) })
  expect((await stream.read())?.length).toBe(3)
})

test('a stream that spoke for a request that then failed is given up, and the session goes on', async () => {
  await using gate = await fakeGate(
    welcoming((request, session) => {
      if (request.operation !== CONNECT) return session.send(result(request, new Uint8Array(0)))
      session.send({ type: MESSAGE.STREAM_DATA, stream: 1, data: new Uint8Array(1) })
      session.send({
        type: MESSAGE.ERROR,
        id: request.id,
        code: ERROR_CODES.E_AUDIT.code,
        message: 'the log is full',
        errno: 'EIO',
        denial: null,
      })
    }),
  )
  await using client = await connect({ socket: gate.socket, token: null })
  expect(await codeOf(client.net.connect('a.example', 80))).toBe('E_AUDIT')
  expect((await gate.sessions[0]?.hears(isReset))?.stream).toBe(1)
  await client.ping()
})

test('closing ends every call under way, and later ones; twice is once', async () => {
  await using gate = await fakeGate(welcoming(() => undefined))
  const client = await connect({ socket: gate.socket, token: null })
  const calls = [codeOf(client.ping()), codeOf(client.fs.stat('/a'))]
  await client.close()
  await client.close()
  expect(await Promise.all([...calls, codeOf(client.ping())])).toEqual(['E_CANCELLED', 'E_CANCELLED', 'E_CANCELLED'])
})

test('a deadline out of range, a bad argument and a text no gate could read never leave this process', async () => {
  await using gate = await fakeGate(welcoming(() => undefined))
  await using client = await connect({ socket: gate.socket, token: null })
  const refused = [
    client.ping({ timeoutMs: 0 }),
    client.ping({ timeoutMs: Number.NaN }),
    client.ping({ timeoutMs: 600_001 }),
    client.fs.stat('x'.repeat(5000)),
    client.fs.stat('\ud800'),
    client.fs.open('/a', 'rw' as 'r'),
    client.fs.open('/a', 'toString' as 'r'),
    client.net.connect('a.example', 0),
    client.net.fetch('http://a.example', { maxBytes: -1 }),
    client.net.fetch('http://a.example', { body: 7 as unknown as string }),
  ]
  const codes = await Promise.all(refused.map(codeOf))
  expect(codes).toEqual([
    ...Array(3).fill('E_CONFLICT'),
    ...Array(2).fill('E_PROTOCOL'),
    ...Array(2).fill('E_CONFLICT'),
    'E_PROTOCOL',
    ...Array(2).fill('E_CONFLICT'),
  ])
  expect(requests(gate.sessions[0])).toEqual([])
})

test('a gate that answers too late is not waited for, and its late answer harms nobody', async () => {
  let late: (() => void) | undefined
  await using gate = await fakeGate(
    welcoming((request, session) => {
      const answer = (): void => session.send(result(request, new Uint8Array(0)))
      if (late === undefined) late = answer
      else answer()
    }),
  )
  const connection = await Connection.open({ socket: gate.socket, token: null, timeoutMs: 30, graceMs: 0 }, limitOf(undefined, 10_000))
  await using client = new Client(connection, { handle: 0, token: null })
  expect(await codeOf(client.ping())).toBe('E_TIMEOUT')
  late?.()
  await client.ping({ timeoutMs: 10_000 })
})
