import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { listenOnce, socketFolder } from './port-listener.ts'
import { BunTransport } from './transport-bun.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'transport-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** Both ends of one connection as transports. */
async function pair(): Promise<[BunTransport, BunTransport]> {
  const listener = listenOnce(join(folder, 'port'))
  let client: BunTransport | undefined
  await Bun.connect<BunTransport>({
    unix: listener.path,
    socket: {
      open: (socket) => {
        client = new BunTransport(socket)
      },
      data: (socket, chunk) => socket.data.received(chunk),
      drain: (socket) => socket.data.drained(),
      close: (socket) => socket.data.ended(),
    },
  })
  const server = await listener.connected
  if (client === undefined) throw new Error('not connected')
  return [server, client]
}

/** Resolves when `count` bytes came. */
function collect(transport: BunTransport, count: number): Promise<Uint8Array> {
  const all = new Uint8Array(count)
  let at = 0
  return new Promise((resolve) => {
    transport.onData = (chunk) => {
      all.set(chunk, at)
      at += chunk.length
      if (at === count) resolve(all)
    }
  })
}

const closed = (transport: BunTransport) =>
  new Promise<void>((resolve) => {
    transport.onClose = resolve
  })

describe('transport over a unix socket', () => {
  test('more than the socket takes is queued, arrives whole and in order, and drains', async () => {
    const [server, client] = await pair()
    const sent = new Uint8Array(5_000_000).map((_, index) => index * 7)
    const drained = new Promise<void>((resolve) => {
      server.onDrain = resolve
    })
    server.write(sent.subarray(0, 4_000_000))
    server.write(sent.subarray(4_000_000))
    expect(server.queued).toBeGreaterThan(0)
    const got = await collect(client, sent.length)
    await drained
    expect(Buffer.compare(got, sent)).toBe(0)
    expect(server.queued).toBe(0)
    server.close()
    client.close()
  })

  test('what arrives before a listener is kept', async () => {
    const [server, client] = await pair()
    client.write(new TextEncoder().encode('early'))
    await new Promise((resolve) => setImmediate(resolve))
    expect(new TextDecoder().decode(await collect(server, 5))).toBe('early')
    server.close()
    client.close()
  })

  test('a paused end delivers nothing until it resumes', async () => {
    const [server, client] = await pair()
    const chunks: string[] = []
    const got = new Promise<void>((resolve) => {
      server.onData = (chunk) => {
        chunks.push(new TextDecoder().decode(chunk))
        resolve()
      }
    })
    server.pause()
    client.write(new TextEncoder().encode('x'))
    // A full round trip on the same loop: the byte had every chance to be delivered.
    server.write(new TextEncoder().encode('y'))
    await collect(client, 1)
    expect(chunks).toEqual([])
    server.resume()
    await got
    expect(chunks).toEqual(['x'])
    server.close()
    client.close()
  })

  test('the end is told once, also to one who asks late', async () => {
    const [server, client] = await pair()
    server.onData = () => {}
    client.onData = () => {}
    const end = closed(server)
    client.close()
    await end
    await closed(client)
    server.write(new Uint8Array(10))
    expect(server.queued).toBe(0)
    server.close()
  })
})

describe('a port', () => {
  test('takes one connection and is gone from the file system', async () => {
    const listener = listenOnce(join(folder, 'port'))
    expect(statSync(listener.path).mode & 0o777).toBe(0o600)
    const connect = () => Bun.connect({ unix: listener.path, socket: { data: () => {} } })
    const first = await connect()
    await listener.connected
    expect(existsSync(listener.path)).toBe(false)
    await expect(connect()).rejects.toThrow()
    first.end()
    listener.stop()
  })

  test('a path that is taken is refused with its name', () => {
    const listener = listenOnce(join(folder, 'port'))
    expect(() => listenOnce(join(folder, 'port'))).toThrow(/cannot listen on/)
    listener.stop()
  })

  test('a folder whose path would not fit a socket address is replaced by a short private one', () => {
    const long = join(folder, 'x'.repeat(100))
    const made = socketFolder(long, 7)
    expect(made.startsWith(tmpdir())).toBe(true)
    expect(statSync(made).mode & 0o777).toBe(0o700)
    rmSync(made, { recursive: true })
  })
})
