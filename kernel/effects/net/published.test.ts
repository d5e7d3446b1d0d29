import { connect, createServer } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { prepareAccept } from './listen.ts'
import { OpenConnections } from './open-connections.ts'
import { listenObject, PublishedPorts } from './published.ts'
import { FakeSession, permitAll } from './testing/fake-session.ts'

const never = (): AbortSignal => new AbortController().signal
let open: PublishedPorts | null = null

afterEach(() => open?.close())

const guest = (): FakeSession => new FakeSession('init')

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function publish(): Promise<{ ports: PublishedPorts; port: number }> {
  const port = await freePort()
  const ports = new PublishedPorts([{ address: '127.0.0.1', port, guestPort: 80 }])
  open = ports
  await ports.listen()
  return { ports, port }
}

describe('a published port', () => {
  test('hands over one connection for one question, decided by its address', async () => {
    const { ports, port } = await publish()
    const session = guest()
    const effect = prepareAccept(ports, new OpenConnections(), 0, session)
    const object = `ip:127.0.0.1:${port}`
    expect(effect.requested).toEqual([{ action: 'net.listen', object }])
    const resolved = effect.resolve(never)
    const client = connect(port, '127.0.0.1')
    const heard = new Promise<string>((resolve) => client.once('data', (data) => resolve(data.toString())))
    expect((await resolved).questions).toEqual([{ action: 'net.listen', object }])
    const { result } = await effect.execute(permitAll())
    effect.release()
    expect(result[0]).toBe(80)
    await session.ends.get(Number(result[1]))?.write(Buffer.from('hello'))
    expect(await heard).toBe('hello')
    client.destroy()
  })

  test('closes a connection that was denied', async () => {
    const { ports, port } = await publish()
    const effect = prepareAccept(ports, new OpenConnections(), 0, guest())
    const resolved = effect.resolve(never)
    const client = connect(port, '127.0.0.1')
    const closed = new Promise((resolve) => client.once('close', resolve))
    client.on('error', () => undefined)
    await resolved
    effect.release()
    await closed
  })

  test('keeps only so many that nobody takes', async () => {
    const { port } = await publish()
    let closed = 0
    const clients = await Promise.all(
      Array.from({ length: 80 }, async () => {
        const client = connect(port, '127.0.0.1').on('error', () => undefined)
        client.on('close', () => closed++)
        await new Promise((resolve) => client.once('connect', resolve))
        return client
      }),
    )
    await expect.poll(() => closed).toBe(16)
    for (const client of clients) client.destroy()
  })

  test('that is taken already is an error that names it, and nothing is left listening', async () => {
    const { port } = await publish()
    const other = await freePort()
    const second = new PublishedPorts([
      { address: '127.0.0.1', port: other, guestPort: 1 },
      { address: '127.0.0.1', port, guestPort: 2 },
    ])
    await expect(second.listen()).rejects.toMatchObject({ code: 'E_IO', message: expect.stringContaining(String(port)) })
    const again = new PublishedPorts([{ address: '127.0.0.1', port: other, guestPort: 1 }])
    await again.listen()
    again.close()
  })

  test('the end of the run ends the wait', async () => {
    const { ports } = await publish()
    const waiting = prepareAccept(ports, new OpenConnections(), 0, guest()).resolve(never)
    ports.close()
    await expect(waiting).rejects.toMatchObject({ code: 'E_CANCELLED' })
  })

  test('another policy closes what it does not allow: nobody gets in, who waited is sent away, the rest goes on', async () => {
    const [one, two] = [await freePort(), await freePort()]
    const ports = new PublishedPorts([
      { address: '127.0.0.1', port: one, guestPort: 1 },
      { address: '127.0.0.1', port: two, guestPort: 2 },
    ])
    open = ports
    await ports.listen()
    const waiter = connect(one, '127.0.0.1').on('error', () => undefined)
    await new Promise((resolve) => waiter.once('connect', resolve))
    const sentAway = new Promise((resolve) => waiter.once('close', resolve))
    await expect.poll(() => ports.untaken).toBe(1)
    expect(ports.closeUnless((object) => object.endsWith(`:${two}`))).toEqual([`ip:127.0.0.1:${one}`])
    await sentAway
    const refused = connect(one, '127.0.0.1')
    expect(await new Promise((resolve) => refused.once('error', (error: NodeJS.ErrnoException) => resolve(error.code)))).toBe(
      'ECONNREFUSED',
    )
    expect(prepareAccept(ports, new OpenConnections(), 0, guest()).requested).toEqual([
      { action: 'net.listen', object: `ip:127.0.0.1:${two}` },
    ])
    const client = connect(two, '127.0.0.1')
    await new Promise((resolve) => client.once('connect', resolve))
    client.destroy()
  })

  test('what another policy closed a later one opens again, unless somebody has the place meanwhile; the guest is not told that there is none', async () => {
    const { ports, port } = await publish()
    const object = `ip:127.0.0.1:${port}`
    const nothing = { opened: [], failed: [] }
    expect(await ports.reopen(() => true)).toEqual(nothing)
    ports.closeUnless(() => false)
    expect(() => prepareAccept(ports, new OpenConnections(), 0, guest())).toThrow(expect.objectContaining({ code: 'E_TIMEOUT' }))
    expect(await ports.reopen(() => false)).toEqual(nothing)
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve))
    expect(await ports.reopen(() => true)).toEqual({ opened: [], failed: [{ object, why: expect.stringContaining('EADDRINUSE') }] })
    await new Promise((resolve) => other.close(resolve))
    expect(await ports.reopen(() => true)).toEqual({ opened: [object], failed: [] })
    const client = connect(port, '127.0.0.1')
    await new Promise((resolve) => client.once('connect', resolve))
    client.destroy()
    expect(prepareAccept(ports, new OpenConnections(), 0, guest()).requested).toEqual([{ action: 'net.listen', object }])
  })

  test('none published: the guest is told once', () => {
    expect(() => prepareAccept(new PublishedPorts([]), new OpenConnections(), 0, guest())).toThrow(
      expect.objectContaining({ code: 'E_UNSUPPORTED' }),
    )
  })

  test('is named with brackets where it needs them', () => {
    expect(listenObject({ address: '::1', port: 8, guestPort: 1 })).toBe('ip:[::1]:8')
  })
})
