/** A port of the host that a session listens on, behind the real pipeline: the witness is whoever comes to it. */
import { connect, createServer, type Socket } from 'node:net'
import { MESSAGE, type WireValue } from '@authority/protocol'
import { afterEach, describe, expect, test } from 'vitest'
import { greeted, type Served } from '../../gate/testing/serve.ts'
import { closeWorlds, makeWorld, type World } from '../../gate/testing/world.ts'
import { netBytes, netEffects, type PublishedPort, PublishedPorts } from './index.ts'

const visitors: Socket[] = []
let published: PublishedPorts
afterEach(() => {
  for (const visitor of visitors.splice(0)) visitor.destroy()
  published.close()
  closeWorlds()
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function listening(allowed: readonly number[], ports: readonly PublishedPort[] = []): Promise<World> {
  published = new PublishedPorts(ports)
  await published.listen()
  return makeWorld({
    policy: { version: '1.0', net: { listen: allowed.map((port) => `ip:127.0.0.1:${port}`) } },
    effects: netEffects({ resolve: async () => [], hosts: new Map(), published }),
    bytes: netBytes,
  })
}

interface Visit {
  readonly socket: Socket
  /** What came until the connection was over, or how it failed. */
  readonly heard: Promise<string>
}

function visit(port: number): Visit {
  const socket = connect(port, '127.0.0.1')
  visitors.push(socket)
  const heard = new Promise<string>((resolve) => {
    let text = ''
    socket.on('data', (data) => {
      text += data
    })
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)))
    socket.on('close', () => resolve(text))
  })
  return { socket, heard }
}

const listenOn = async ({ peer }: Served, port: number): Promise<number> => Number((await peer.call('net.listen', [port]))[0])
const say = ({ peer }: Served, stream: WireValue | undefined, text: string): void => {
  peer.send({ type: MESSAGE.STREAM_DATA, stream: Number(stream), data: Buffer.from(text) })
  peer.send({ type: MESSAGE.STREAM_END, stream: Number(stream) })
}

describe('a session that listens', () => {
  test('is reached on loopback, told who came, and each connection is decided and on record', async () => {
    const port = await freePort()
    const world = await listening([port])
    const agent = await greeted(world)
    const answer = await agent.peer.call('net.listen', [port])
    expect(answer).toEqual([expect.any(Number), `127.0.0.1:${port}`])
    const { socket, heard } = visit(port)
    const accepted = await agent.peer.call('net.accept', [Number(answer[0])])
    expect(accepted).toEqual([port, expect.any(Number), `127.0.0.1:${socket.localPort}`])
    say(agent, accepted[1], 'hello')
    socket.end()
    expect(await heard).toBe('hello')
    const intents = world.appended.flatMap((record) => (record.type === 'INTENT' ? [`${record.op} ${record.object}`] : []))
    expect(intents).toEqual([
      `net.listen ip:127.0.0.1:${port}`,
      `net.accept ip:127.0.0.1:${port} from 127.0.0.1:${accepted[2]?.toString().split(':')[1]}`,
    ])
  })

  test('off by default: where no rule allows it, nothing listens and the denial names the rule', async () => {
    const port = await freePort()
    const world = await listening([])
    const { peer } = await greeted(world)
    expect(await peer.call('net.listen', [port])).toBe('E_POLICY_DENY')
    expect(await visit(port).heard).toBe('ECONNREFUSED')
    const [denial] = world.appended.filter((record) => record.type === 'DENY')
    expect(denial).toMatchObject({ op: 'net.listen', object: expect.stringContaining(String(port)) })
  })

  test('takes over the port the operator published for it, and gives it back', async () => {
    const host = await freePort()
    const world = await listening([host], [{ address: '127.0.0.1', port: host, guestPort: 80 }])
    const agent = await greeted(world)
    const init = await greeted(world, null, 'init')
    const answer = await agent.peer.call('net.listen', [80])
    expect(answer[1]).toBe(`127.0.0.1:${host}`)
    const thief = await greeted(world)
    expect(await thief.peer.call('net.listen', [80])).toBe('E_CONFLICT')
    const first = visit(host)
    const accepted = await agent.peer.call('net.accept', [Number(answer[0])])
    expect(accepted[0]).toBe(80)
    say(agent, accepted[1], 'session')
    first.socket.end()
    expect(await first.heard).toBe('session')
    expect(await agent.peer.call('net.close', [Number(answer[0])])).toEqual([])
    expect(world.appended).toContainEqual(expect.objectContaining({ type: 'CLOSE', detail: { connections: 1 } }))
    const second = visit(host)
    const guests = await init.peer.call('net.accept', [0])
    say(init, guests[1], 'guest')
    second.socket.end()
    expect(await second.heard).toBe('guest')
  })

  test('one listener for one port; the same for a port of the host that is taken', async () => {
    const port = await freePort()
    const world = await listening([port])
    const one = await greeted(world)
    const other = await greeted(world)
    const number = await listenOn(one, port)
    expect(await other.peer.call('net.listen', [port])).toBe('E_CONFLICT')
    // Another session's listener is nobody's.
    expect(await other.peer.call('net.accept', [number])).toBe('E_CAP_INVALID')
    expect(await other.peer.call('net.close', [number])).toBe('E_CAP_INVALID')
    expect(await other.peer.call('net.accept', [0])).toBe('E_CAP_INVALID')
    expect(await one.peer.call('net.close', [number])).toEqual([])
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(port, '127.0.0.1', resolve))
    expect(await other.peer.call('net.listen', [port])).toBe('E_CONFLICT')
    await new Promise((resolve) => taken.close(resolve))
    expect(await listenOn(other, port)).toBeGreaterThan(0)
  })

  test('the end of the session ends it, and whoever waited is sent away', async () => {
    const port = await freePort()
    const world = await listening([port])
    const agent = await greeted(world)
    await listenOn(agent, port)
    const waiting = visit(port)
    await new Promise((resolve) => waiting.socket.once('connect', resolve))
    await agent.session.end()
    expect(await waiting.heard).toMatch(/^(ECONNRESET)?$/)
    expect(await visit(port).heard).toBe('ECONNREFUSED')
  })

  test('a request that was given up takes no connection from the next', async () => {
    const port = await freePort()
    const world = await listening([port])
    const agent = await greeted(world)
    const number = await listenOn(agent, port)
    expect(await agent.peer.call('net.accept', [number], { deadlineMs: 20 })).toBe('E_TIMEOUT')
    const { socket } = visit(port)
    expect((await agent.peer.call('net.accept', [number]))[2]).toBe(`127.0.0.1:${socket.localPort}`)
  })

  test('whose token is revoked while it waits gets nothing, and the visitor is sent away', async () => {
    const port = await freePort()
    const world = await listening([port])
    const token = world.capability.mint({ net: { listen: [`ip:127.0.0.1:${port}`] } }, { notBefore: 0, expires: 253402300799999 })
    const agent = await greeted(world, token)
    const number = await listenOn(agent, port)
    const waiting = agent.peer.call('net.accept', [number])
    // Answered after the accept before it was judged.
    await agent.peer.call('session.ping', [new Uint8Array(0)])
    const [block = ''] = world.appended.flatMap((record) => (record.type === 'INTENT' ? record.blocks : []))
    world.capability.revoke(block)
    const { heard } = visit(port)
    expect(await waiting).toBe('E_CAP_REVOKED')
    expect(await heard).toMatch(/^(ECONNRESET)?$/)
    await world.pipeline.endWithdrawn()
    expect(await visit(port).heard).toBe('ECONNREFUSED')
  })

  test('keeps 64 that nobody accepts, and closes the others', async () => {
    const port = await freePort()
    const world = await listening([port])
    await listenOn(await greeted(world), port)
    let closed = 0
    for (let i = 0; i < 80; i++) {
      const { socket, heard } = visit(port)
      await new Promise((resolve) => socket.once('connect', resolve))
      void heard.then(() => closed++)
    }
    await expect.poll(() => closed).toBe(16)
  })

  test('no more than 16 ports', async () => {
    const ports: number[] = []
    while (ports.length < 17) {
      const port = await freePort()
      if (!ports.includes(port)) ports.push(port)
    }
    const world = await listening(ports)
    const agent = await greeted(world)
    for (const port of ports.slice(0, 16)) expect(await listenOn(agent, port)).toBeGreaterThan(0)
    expect(await agent.peer.call('net.listen', [ports[16] ?? 0])).toBe('E_RATE_LIMIT')
    expect(await visit(ports[16] ?? 0).heard).toBe('ECONNREFUSED')
  })
})
