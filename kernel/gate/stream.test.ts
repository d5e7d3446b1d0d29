import { INITIAL_STREAM_CREDIT, MAX_CHUNK_BYTES, MESSAGE } from '@authority/protocol'
import { afterEach, describe, expect, test } from 'vitest'
import { HeldBytes } from './held-bytes.ts'
import { MAX_UNREAD_BYTES, MAX_UNTAKEN_BYTES, MAX_WAITING_BYTES } from './limits.ts'
import { SessionStream } from './stream.ts'
import { FarEnd, greeted } from './testing/serve.ts'
import { closeWorlds, codeOf, makeWorld, settle } from './testing/world.ts'

afterEach(closeWorlds)

const held = () => ({ untaken: new HeldBytes(MAX_UNTAKEN_BYTES), waiting: new HeldBytes(MAX_WAITING_BYTES) })

async function connected() {
  const far = new FarEnd()
  const world = await makeWorld({ effects: [far.effect] })
  const served = await greeted(world)
  const [number] = (await served.peer.call('net.connect', ['h', 1])) as [number]
  const stream = far.streams[0]
  if (stream === undefined) throw new Error('no stream')
  const data = (size: number): void => served.peer.send({ type: MESSAGE.STREAM_DATA, stream: number, data: new Uint8Array(size) })
  return { ...served, world, far, stream, number, data }
}

test('all was passed on once the end was, or when nothing more will be', async () => {
  const written = Promise.withResolvers<void>()
  const ends = { write: () => written.promise, end: () => undefined, reset: () => undefined }
  const stream = (): SessionStream =>
    new SessionStream({ number: 1, ends, post: () => undefined, room: () => true, onOver: () => undefined, held: held() })
  const [whole, aborted] = [stream(), stream()]
  let done: readonly string[] = []
  void whole.passedOn.then(() => (done = [...done, 'whole']))
  void aborted.passedOn.then(() => (done = [...done, 'aborted']))
  for (const each of [whole, aborted]) each.onData(new Uint8Array(10))
  whole.onEnd()
  aborted.onReset()
  await settle()
  expect(done).toEqual(['aborted'])
  written.resolve()
  await settle()
  expect(done).toEqual(['aborted', 'whole'])
})

describe('to the agent', () => {
  test('never more than its credit; the rest waits, in chunks, in order', async () => {
    const { peer, stream, number } = await connected()
    const all = Buffer.from(Array.from({ length: INITIAL_STREAM_CREDIT + 1000 }, (_, i) => i % 251))
    let sent = false
    const sending = Promise.resolve(stream.send(all)).then(() => {
      sent = true
    })
    await settle()
    expect([peer.streamed(number).length, sent]).toEqual([INITIAL_STREAM_CREDIT, false])
    peer.send({ type: MESSAGE.STREAM_CREDIT, stream: number, bytes: 1 })
    expect(peer.streamed(number).length).toBe(INITIAL_STREAM_CREDIT + 1)
    peer.send({ type: MESSAGE.STREAM_CREDIT, stream: number, bytes: 5000 })
    await sending
    expect(peer.streamed(number).equals(all)).toBe(true)
    expect(peer.received.every((message) => message.type !== MESSAGE.STREAM_DATA || message.data.length <= MAX_CHUNK_BYTES)).toBe(true)
  })

  test('its end comes after its data', async () => {
    const { peer, stream, number } = await connected()
    void stream.send(new Uint8Array(INITIAL_STREAM_CREDIT + 1))
    stream.end()
    expect(peer.names).not.toContain('STREAM_END')
    peer.send({ type: MESSAGE.STREAM_CREDIT, stream: number, bytes: 1 })
    await settle()
    expect(peer.names.at(-1)).toBe('STREAM_END')
    expect(await codeOf(() => stream.send(new Uint8Array(1)))).toBe('E_CANCELLED')
  })

  test('credit whose sum no number holds is refused', async () => {
    const { peer, number } = await connected()
    for (let i = 0; i < 3; i++) peer.send({ type: MESSAGE.STREAM_CREDIT, stream: number, bytes: 0xffffffff })
    expect(peer.transport.closed).toBe(false)
    // By messages alone that takes two million of them.
    const ends = { write: async () => undefined, end: () => undefined, reset: () => undefined }
    const stream = new SessionStream({
      number: 1,
      ends,
      post: () => undefined,
      room: () => true,
      onOver: () => undefined,
      held: held(),
    })
    stream.onCredit(Number.MAX_SAFE_INTEGER - INITIAL_STREAM_CREDIT)
    expect(() => stream.onCredit(1)).toThrow(expect.objectContaining({ code: 'E_PROTOCOL' }))
  })

  test('unbounded credit and a peer that never reads: what waits for it is bounded, and comes when it reads', async () => {
    const { peer, stream, number } = await connected()
    peer.send({ type: MESSAGE.STREAM_CREDIT, stream: number, bytes: 0xffffffff })
    peer.transport.reads = false
    let chunks = 0
    const pump = (async () => {
      for (; chunks < 200; chunks++) await stream.send(new Uint8Array(MAX_CHUNK_BYTES))
    })()
    await settle(50)
    expect(peer.transport.highest).toBeLessThanOrEqual(MAX_UNREAD_BYTES + MAX_CHUNK_BYTES + 64)
    expect(chunks).toBeLessThan(200)
    for (let i = 0; i < 50 && chunks < 200; i++) {
      peer.transport.drain()
      await settle()
    }
    await pump
    expect(peer.streamed(number).length).toBe(200 * MAX_CHUNK_BYTES)
  })
})

describe('from the agent', () => {
  test('passed on in order, one at a time; credit comes back when it was', async () => {
    const { peer, far, data, number } = await connected()
    let letGo: () => void = () => undefined
    far.gate = new Promise((resolve) => {
      letGo = resolve
    })
    for (let i = 0; i < 4; i++) data(MAX_CHUNK_BYTES)
    await settle()
    expect([far.bytes, peer.names.includes('STREAM_CREDIT')]).toEqual([0, false])
    letGo()
    await settle(30)
    expect(far.bytes).toBe(INITIAL_STREAM_CREDIT)
    const back = peer.received.flatMap((message) =>
      message.type === MESSAGE.STREAM_CREDIT && message.stream === number ? [message.bytes] : [],
    )
    expect(back.reduce((a, b) => a + b, 0)).toBe(INITIAL_STREAM_CREDIT)
  })

  test('beyond its credit the session is over, and the far end is closed', async () => {
    const { peer, far, data } = await connected()
    far.gate = new Promise(() => undefined)
    for (let i = 0; i < 4; i++) data(MAX_CHUNK_BYTES)
    await settle(30)
    expect(peer.transport.closed).toBe(false)
    data(1)
    await settle(30)
    expect(peer.names.at(-1)).toBe('GOODBYE E_PROTOCOL')
    expect(far.events).toEqual(['reset'])
  })

  test('data after the end, and a second end: the session is over', async () => {
    for (const last of ['data', 'end'] as const) {
      const { peer, data, number } = await connected()
      peer.send({ type: MESSAGE.STREAM_END, stream: number })
      if (last === 'data') data(1)
      else peer.send({ type: MESSAGE.STREAM_END, stream: number })
      expect(peer.names.at(-1)).toBe('GOODBYE E_PROTOCOL')
    }
  })

  test('a far end that fails resets the stream, and the session goes on', async () => {
    const { peer, far, data, number } = await connected()
    far.gate = Promise.reject(new Error('secret inside'))
    far.gate.catch(() => undefined)
    data(10)
    await settle()
    expect(peer.names.at(-1)).toBe('STREAM_RESET E_INTERNAL')
    expect(JSON.stringify(peer.received)).not.toContain('secret')
    expect(far.events).toEqual(['reset'])
    data(10)
    peer.send({ type: MESSAGE.STREAM_CREDIT, stream: number, bytes: 5 })
    peer.send({ type: MESSAGE.STREAM_END, stream: number })
    peer.send({ type: MESSAGE.STREAM_RESET, stream: number, code: 1, message: 'late' })
    expect(peer.transport.closed).toBe(false)
    expect(await peer.call('session.ping', [new Uint8Array(1)])).toEqual([new Uint8Array(1)])
  })

  test('a far end that fails when it is told of the end resets the stream', async () => {
    const { peer, far, number } = await connected()
    far.events.push = () => {
      throw new Error('gone')
    }
    peer.send({ type: MESSAGE.STREAM_END, stream: number })
    await settle()
    expect(peer.names.at(-1)).toBe('STREAM_RESET E_INTERNAL')
  })
})

describe('both', () => {
  test('each direction ends on its own; when both have, the number is free and late messages are dropped', async () => {
    const { peer, far, stream, number, data } = await connected()
    stream.end()
    data(5)
    await settle()
    expect(far.bytes).toBe(5)
    peer.send({ type: MESSAGE.STREAM_END, stream: number })
    await settle()
    expect(far.events).toEqual(['end'])
    data(5)
    peer.send({ type: MESSAGE.STREAM_END, stream: number })
    expect(peer.transport.closed).toBe(false)
    expect(far.bytes).toBe(5)
  })

  test('a reset by the agent closes the far end and fails what is being sent', async () => {
    const { peer, far, stream, number } = await connected()
    const sending = codeOf(() => stream.send(new Uint8Array(2 * INITIAL_STREAM_CREDIT)))
    peer.send({ type: MESSAGE.STREAM_RESET, stream: number, code: 55, message: '' })
    expect(await sending).toBe('E_CANCELLED')
    expect(far.events).toEqual(['reset'])
  })

  test('the end of the session closes the far end', async () => {
    const { session, far } = await connected()
    await session.end()
    expect(far.events).toEqual(['reset'])
  })

  test('the end of the session waits for far ends that are still closing, of streams that were over before too', async () => {
    const { peer, session, far, number } = await connected()
    const closing = Promise.withResolvers<void>()
    far.closing = closing.promise
    peer.send({ type: MESSAGE.STREAM_RESET, stream: number, code: 55, message: '' })
    const events: string[] = []
    const ended = session.end().then(() => events.push('ended'))
    await settle(6)
    events.push('closed')
    closing.resolve()
    await ended
    expect(events).toEqual(['closed', 'ended'])
  })

  test('a number never given out ends the session', async () => {
    for (const stream of [2, 0xffffffff]) {
      const { peer } = await connected()
      peer.send({ type: MESSAGE.STREAM_CREDIT, stream, bytes: 1 })
      expect(peer.names.at(-1)).toBe('GOODBYE E_PROTOCOL')
    }
  })
})

test('thousands of far ends that take nothing: what all hold is bounded, the one that holds most goes first, and one that moves goes on', async () => {
  const options = { post: () => undefined, room: () => true, onOver: () => undefined, held: held() }
  const reset: number[] = []
  const stalled = Array.from({ length: 300 }, (_, number) => {
    const ends = { write: () => new Promise<void>(() => undefined), end: () => undefined, reset: () => void reset.push(number) }
    return new SessionStream({ number, ends, ...options })
  })
  let moved = 0
  const write = async (data: Uint8Array): Promise<void> => {
    moved += data.length
  }
  const moving = new SessionStream({ number: 1000, ends: { write, end: () => undefined, reset: () => void reset.push(1000) }, ...options })
  for (const [number, stream] of stalled.entries()) {
    for (let sent = 0; sent < INITIAL_STREAM_CREDIT - number; sent += MAX_CHUNK_BYTES)
      stream.onData(new Uint8Array(Math.min(MAX_CHUNK_BYTES, INITIAL_STREAM_CREDIT - number - sent)))
    moving.onData(new Uint8Array(500))
    await settle(1)
  }
  expect(moved).toBe(300 * 500)
  const kept = Math.floor(MAX_UNTAKEN_BYTES / INITIAL_STREAM_CREDIT)
  expect(reset.slice(0, 3)).toEqual([0, 1, 2])
  expect(reset.length).toBeGreaterThanOrEqual(300 - kept - 2)
  expect(reset).not.toContain(1000)
})

test('thousands of streams whose agent grants no credit: what waits for it is bounded, the stream that holds most goes first, and one that moves goes on', async () => {
  const reset: number[] = []
  const options = { post: () => undefined, room: () => true, onOver: () => undefined, held: held() }
  const opened = (number: number): SessionStream => {
    const ends = { write: async () => undefined, end: () => undefined, reset: () => void reset.push(number) }
    return new SessionStream({ number, ends, ...options })
  }
  const moving = opened(1000)
  let outcomes = 0
  for (let number = 0; number < 300; number++) {
    const stalled = Promise.resolve(opened(number).send(new Uint8Array(2 * INITIAL_STREAM_CREDIT - number)))
    void stalled.catch((error: { code: string }) => {
      outcomes += error.code === 'E_RATE_LIMIT' ? 1 : 0
    })
    moving.onCredit(1000)
    await moving.send(new Uint8Array(1000))
  }
  await settle(1)
  expect(reset.slice(0, 3)).toEqual([0, 1, 2])
  expect(reset.length).toBeGreaterThanOrEqual(300 - MAX_WAITING_BYTES / (2 * INITIAL_STREAM_CREDIT) - 2)
  expect([reset.includes(1000), outcomes]).toEqual([false, reset.length])
})
