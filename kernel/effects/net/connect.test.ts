import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { encodeDnsName } from './dns-packet.ts'
import { executeConnect } from './execute-connect.ts'
import { netEffects } from './index.ts'
import { MAX_RESOLVED_NAMES } from './limits.ts'
import { withNameBudget } from './name-budget.ts'
import { FakeSession, permitAll } from './testing/fake-session.ts'
import { tls } from './testing/hello.ts'

let server: Server
let port: number
const heard: Buffer[] = []
const sockets = new Set<Socket>()

beforeEach(async () => {
  heard.length = 0
  server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', (data) => {
      heard.push(data as Buffer)
      socket.write('served')
    })
  })
  port = await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)))
})

afterEach(() => {
  for (const socket of sockets) socket.destroy()
  server.close()
})

/** Connects to `name`:443, which stands for the test's server. */
async function connectTls(name: string, permit = permitAll()) {
  const session = new FakeSession()
  const { dialTcp } = await import('./dial.ts')
  const deps = {
    resolve: () => Promise.reject(new Error('not asked')),
    hosts: new Map([[name, '127.0.0.1']]),
    isOwnAddress: async () => false,
    dial: (address: string, _port: number, signal: AbortSignal) => dialTcp(address, port, signal),
  }
  const { result } = await executeConnect({ kind: 'name', name, port: 443 }, session, permit, deps)
  const stream = Number(result[0])
  const ends = session.ends.get(stream)
  if (ends === undefined) throw new Error('no stream')
  return { ends, answer: session.read(stream), permit }
}

describe('a connection to a named host on a port of TLS', () => {
  test('begins with a ClientHello for it, in however many pieces, and then carries anything', async () => {
    const { ends } = await connectTls('api.example.com')
    const hello = await tls('api.example.com')
    await ends.write(hello.subarray(0, 10))
    expect(heard).toEqual([])
    await ends.write(hello.subarray(10))
    await ends.write(Buffer.from('further'))
    await expect.poll(() => Buffer.concat(heard).toString('hex')).toBe(Buffer.concat([hello, Buffer.from('further')]).toString('hex'))
    await ends.reset()
  })

  test('for another host not a byte leaves, and the other name is on record', async () => {
    const { ends, permit } = await connectTls('api.example.com', permitAll({ deny: (object) => object.startsWith('dns:evil') }))
    await expect(ends.write(await tls('evil.example.com'))).rejects.toMatchObject({ code: 'E_POLICY_DENY' })
    expect(permit.decided).toEqual(['dns:evil.example.com:443'])
    await ends.reset()
    expect(heard).toEqual([])
    await expect.poll(() => permit.closes.length).toBe(1)
    expect(permit.closes[0]).toMatchObject({ bytes_out: 0, tls: expect.stringContaining('another server') })
  })

  test('for another host that policy allows as well it is refused all the same', async () => {
    const { ends } = await connectTls('api.example.com')
    await expect(ends.write(await tls('other.example.com'))).rejects.toMatchObject({ code: 'E_POLICY_DENY' })
    await ends.reset()
  })

  test('anything but TLS does not leave', async () => {
    const { ends } = await connectTls('api.example.com')
    await expect(ends.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).rejects.toMatchObject({ code: 'E_POLICY_DENY' })
    await ends.reset()
    expect(heard).toEqual([])
  })
})

describe('names', () => {
  test('no DNS question of a program is ever asked upstream', async () => {
    let asked = 0
    const effects = netEffects({ resolve: () => Promise.reject(new Error(String(asked++))), hosts: new Map() })
    const head = Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
    for (const type of [1, 28, 65, 16]) {
      const packet = Buffer.concat([head, encodeDnsName('data-in-a-label.example.com'), Buffer.from([0, type, 0, 1])])
      await effects
        .find((effect) => effect.operation === 'net.query')
        ?.prepare([packet, false], new FakeSession())
        .execute(permitAll())
    }
    await effects
      .find((effect) => effect.operation === 'net.dns')
      ?.prepare(['more-data.example.com'], new FakeSession())
      .execute(permitAll())
    expect(asked).toBe(0)
  })

  test('only so many different ones are resolved for a run; known ones for ever', async () => {
    const resolve = withNameBudget(async () => ['192.0.2.1'])
    const { signal } = new AbortController()
    for (let i = 0; i < MAX_RESOLVED_NAMES; i++) await resolve(`n${i}.example`, signal)
    await expect(resolve('one-more.example', signal)).rejects.toMatchObject({ code: 'E_RATE_LIMIT' })
    expect(await resolve('n7.example', signal)).toEqual(['192.0.2.1'])
    const long = withNameBudget(async () => [])
    let refused = false
    for (let i = 0; i < 200 && !refused; i++)
      refused = await long(`${'x'.repeat(240)}${i}`, signal).then(
        () => false,
        () => true,
      )
    expect(refused).toBe(true)
  })
})
