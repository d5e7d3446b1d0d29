import type { Socket } from 'node:net'
import { ERROR_CODES, MAX_CHUNK_BYTES, MESSAGE } from '@authority/protocol'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { lastBlockId } from '../../capability/index.ts'
import { captured, closeWorlds, reserved, settle } from '../../gate/testing/world.ts'
import { type NetWorld, type NetWorldOptions, netWorld, type Witness, witness } from './testing/world.ts'

const servers: Witness[] = []
afterEach(async () => {
  closeWorlds()
  for (const server of servers.splice(0)) await server.close()
})

async function connected(onConnection: (socket: Socket) => void = () => undefined, options: NetWorldOptions = {}) {
  const server = await witness(onConnection)
  servers.push(server)
  const net = await netWorld({ connect: [`ip:127.0.0.1:${server.port}`], ...options })
  const answer = await net.peer.call('net.connect', ['127.0.0.1', server.port])
  if (typeof answer === 'string') throw new Error(answer)
  const stream = Number(answer[0])
  return { server, net, stream, say: (text: string | Uint8Array) => send(net, stream, text) }
}

function send(net: NetWorld, stream: number, data: string | Uint8Array): void {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data
  for (let at = 0; at < bytes.length; at += MAX_CHUNK_BYTES)
    net.peer.send({ type: MESSAGE.STREAM_DATA, stream, data: bytes.subarray(at, at + MAX_CHUNK_BYTES) })
}

const closeRecord = (net: NetWorld) => net.world.appended.find((record) => record.type === 'CLOSE')

describe('bytes', () => {
  test('go both ways, counted and digested, and the CLOSE says so', async () => {
    const { net, stream, say } = await connected((socket) => socket.on('data', (data) => socket.write(`<${data}>`)))
    say('hello')
    await net.peer.until(() => net.peer.streamed(stream).toString() === '<hello>')
    await net.session.end()
    expect(closeRecord(net)).toMatchObject({
      captured: { bytes: 12 },
      detail: { bytes_out: 5, bytes_in: 7, sha256_out: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824' },
    })
    expect([captured(net.world.budget, 'bytes'), reserved(net.world.budget)]).toEqual([12, 0])
    const { verdict } = await net.world.sealed()
    expect([verdict.status, verdict.findings]).toEqual(['intact', []])
  })

  test('what the far end said last arrives before its end, however slowly it is recorded', async () => {
    const last = Buffer.alloc(200_000, 'z')
    const { net, stream } = await connected((socket) => socket.end(last))
    await net.peer.until(() => net.peer.names.includes('STREAM_END'))
    expect(net.peer.streamed(stream).equals(last)).toBe(true)
    expect(net.peer.names.indexOf('STREAM_END')).toBe(net.peer.names.length - 1)
  })
})

describe('ends', () => {
  test('a revocation closes an idle connection: the far end sees it, and no byte was needed', async () => {
    const closed = Promise.withResolvers<void>()
    const { net, stream, say } = await connected((socket) =>
      socket.once('close', () => closed.resolve()).on('data', (data) => socket.write(data)),
    )
    say('hello')
    await net.peer.until(() => net.peer.streamed(stream).toString() === 'hello')
    const { capability, pipeline } = net.world
    capability.revoke(lastBlockId(capability.runToken))
    await pipeline.endWithdrawn()
    await closed.promise
    expect(closeRecord(net)).toMatchObject({ captured: { bytes: 10 }, detail: { bytes_out: 5, bytes_in: 5, reason: 'E_CAP_REVOKED' } })
    await net.peer.until(() => net.peer.names.includes('STREAM_RESET E_CAP_REVOKED'))
  })

  test('the agent aborts: the far end sees a reset, and does not take what came for the whole', async () => {
    const ended = Promise.withResolvers<string>()
    const { net, stream, say } = await connected((socket) => {
      socket.on('data', (data) => socket.write(data))
      socket.once('end', () => ended.resolve('an end')).once('error', (error: NodeJS.ErrnoException) => ended.resolve(String(error.code)))
    })
    say('half of it')
    await net.peer.until(() => net.peer.streamed(stream).toString() === 'half of it')
    net.peer.send({ type: MESSAGE.STREAM_RESET, stream, code: ERROR_CODES.E_CANCELLED.code, message: 'given up' })
    expect(await ended.promise).toBe('ECONNRESET')
  })

  test('the agent finishes first: the far end hears it and may go on', async () => {
    const { net, stream, say } = await connected((socket) => socket.on('end', () => socket.end('after your end')))
    say('x')
    net.peer.send({ type: MESSAGE.STREAM_END, stream })
    await net.peer.until(() => net.peer.names.includes('STREAM_END'))
    expect(net.peer.streamed(stream).toString()).toBe('after your end')
    await vi.waitFor(() => expect(closeRecord(net)).toBeDefined())
    expect(net.world.pipeline.statistics.openLeases).toBe(0)
  })

  test('the far end finishes first: the agent may go on', async () => {
    const { server, net, stream, say } = await connected((socket) => socket.end('bye'))
    await net.peer.until(() => net.peer.names.includes('STREAM_END'))
    say('still here')
    await vi.waitFor(() => expect(server.received.toString()).toBe('still here'))
    net.peer.send({ type: MESSAGE.STREAM_END, stream })
    await vi.waitFor(() => expect(closeRecord(net)).toBeDefined())
  })

  test('the far end resets: so is the stream, and the session goes on', async () => {
    const { net, say } = await connected((socket) => socket.on('data', () => socket.resetAndDestroy()))
    say('x')
    await net.peer.until(() => net.peer.names.some((name) => name.startsWith('STREAM_RESET')))
    expect(await net.peer.call('session.ping', [new Uint8Array(1)])).toEqual([new Uint8Array(1)])
    await vi.waitFor(() => expect(closeRecord(net)).toBeDefined())
    expect(reserved(net.world.budget)).toBe(0)
  })

  test('nobody listens: the errno the host has for it', async () => {
    const server = await witness()
    await server.close()
    const net = await netWorld({ connect: [`ip:127.0.0.1:${server.port}`] })
    const id = net.peer.request('net.connect', ['127.0.0.1', server.port])
    expect(await net.peer.answer(id)).toMatchObject({ type: MESSAGE.ERROR, code: 56, errno: 'ECONNREFUSED' })
    expect(reserved(net.world.budget)).toBe(0)
  })

  test('the session ends: its sockets are closed and its leases settled when it has', async () => {
    const { server, net } = await connected()
    const gone = new Promise((resolve) => server.connections[0]?.once('end', resolve).once('close', resolve))
    await net.session.end()
    expect([reserved(net.world.budget), net.world.pipeline.statistics.openLeases]).toEqual([0, 0])
    expect(closeRecord(net)).toBeDefined()
    await gone
  })

  test('a connection for which the session has no room leaves neither socket nor lease', async () => {
    const { server, net } = await connected()
    for (let i = 1; i < 256; i += 15)
      await Promise.all(Array.from({ length: 15 }, () => net.peer.call('net.connect', ['127.0.0.1', server.port])))
    expect(net.world.pipeline.statistics.openLeases).toBe(256)
    expect(await net.peer.call('net.connect', ['127.0.0.1', server.port])).toBe('E_RATE_LIMIT')
    expect(net.world.pipeline.statistics.openLeases).toBe(256)
    await net.session.end()
    expect([net.world.pipeline.statistics.openLeases, reserved(net.world.budget)]).toEqual([0, 0])
  })

  test('a deadline that passes while it is dialled', async () => {
    const net = await netWorld({ connect: ['dns:slow.example:80'], answers: { 'slow.example': () => [] } })
    expect(await net.peer.call('net.connect', ['slow.example', 80], { deadlineMs: 5 })).toMatch(/^E_(TIMEOUT|UPSTREAM)$/)
  })
})

describe('back-pressure', () => {
  test('an agent that gives no credit: the gate reads a window and a chunk, no more', async () => {
    let pushed = 0
    const { net, stream } = await connected((socket) => {
      const chunk = Buffer.alloc(64 * 1024, 1)
      const more = (): void => {
        while (pushed < 64 << 20) {
          pushed += chunk.length
          if (!socket.write(chunk)) return void socket.once('drain', more)
        }
      }
      more()
    })
    await net.peer.until(() => net.peer.streamed(stream).length >= 262_144)
    await settle(50)
    expect(net.peer.streamed(stream).length).toBe(262_144)
    // Beside the window only what kernels buffer: far below what the server would send.
    expect(pushed).toBeLessThan(32 << 20)
    const moved = captured(net.world.budget, 'bytes') + reserved(net.world.budget, 'bytes')
    expect(moved).toBeLessThan(4 << 20)
  })

  test('a far end that does not read: the agent’s credit does not come back', async () => {
    const { net, stream, say } = await connected((socket) => socket.pause())
    let credit = 262_144
    let sent = 0
    for (let round = 0; round < 400 && credit > 0; round++) {
      const size = Math.min(credit, MAX_CHUNK_BYTES)
      say(new Uint8Array(size))
      credit -= size
      sent += size
      await settle(5)
      const returned = net.peer.received.reduce(
        (sum, message) => sum + (message.type === MESSAGE.STREAM_CREDIT && message.stream === stream ? message.bytes : 0),
        0,
      )
      credit = 262_144 + returned - sent
    }
    expect(credit).toBe(0)
    // Kernels buffer some MiB; then it stops.
    expect(sent).toBeLessThan(24 << 20)
  })
})

describe('a budget of bytes', () => {
  test.each(['in', 'out'] as const)('used up in the middle (%s): cut there, recorded, and not one byte more', async (direction) => {
    const { server, net, say } = await connected((socket) => void (direction === 'in' && socket.write(Buffer.alloc(500_000, 1))), {
      budgets: { bytes: 100_000 },
    })
    if (direction === 'out') say(new Uint8Array(200_000))
    await net.peer.until(() => net.peer.names.includes('STREAM_RESET E_BUDGET_EXCEEDED'))
    await vi.waitFor(() => expect(closeRecord(net)).toBeDefined())
    expect(captured(net.world.budget, 'bytes')).toBeLessThanOrEqual(100_000)
    expect(server.received.length).toBeLessThanOrEqual(100_000)
    expect(
      net.peer.received.reduce((sum, message) => sum + (message.type === MESSAGE.STREAM_DATA ? message.data.length : 0), 0),
    ).toBeLessThanOrEqual(100_000)
    expect(net.world.appended.some((record) => record.type === 'DENY' && record.code === 'E_BUDGET_EXCEEDED')).toBe(true)
    expect(reserved(net.world.budget)).toBe(0)
    const { verdict } = await net.world.sealed()
    expect([verdict.status, verdict.findings]).toEqual(['intact', []])
  })
})
