import { createServer as createHttps, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Answer } from 'dns-packet'
import { afterEach, describe, expect, test } from 'vitest'
import { AUTHORITY, SERVER } from '../testing/certificates.ts'
import { answering, askedOf, type DnsAsked, type DnsScript, type DnsServerUnderTest, dnsServer } from '../testing/dns-server.ts'
import { createResolver, type ResolverChoice } from './index.ts'

const never = new AbortController().signal
const open: { close(): void }[] = []
afterEach(() => {
  for (const one of open.splice(0)) one.close()
})

async function server(script: DnsScript): Promise<DnsServerUnderTest> {
  const one = await dnsServer(script)
  open.push(one)
  return one
}
const at = (...ports: number[]): ResolverChoice => ({ kind: 'servers', servers: ports.map((port) => ({ address: '127.0.0.1', port })) })
const resolve = (choice: ResolverChoice, name = 'a.example', signal = never) => createResolver(choice, [AUTHORITY])(name, signal)

const FOUR: Answer = { type: 'A', name: 'a.example', data: '192.0.2.1' }
const SIX: Answer = { type: 'AAAA', name: 'a.example', data: '2001:db8::1' }
const records = (asked: DnsAsked): Answer[] => [FOUR, SIX].filter(({ type }) => type === asked.type)
const honest: DnsScript = (asked) => [answering(asked, records(asked))]

describe('DNS servers', () => {
  test('both families are asked, each over a port and with an id of its own', async () => {
    const { port, asked } = await server(honest)
    expect(await resolve(at(port))).toEqual(['192.0.2.1', '2001:db8:0:0:0:0:0:1'])
    expect(asked.map(({ name, type, over }) => `${name} ${type} ${over}`).sort()).toEqual(['a.example A udp', 'a.example AAAA udp'])
    for (let i = 0; i < 8; i++) await resolve(at(port))
    expect(new Set(asked.map(({ id }) => id)).size).toBeGreaterThan(12)
  })

  test('what was cut is asked for over TCP', async () => {
    const { port, asked } = await server((one) =>
      one.over === 'udp' ? [answering(one, [], { flags: 0x0380 })] : [answering(one, records(one))],
    )
    expect(await resolve(at(port))).toEqual(['192.0.2.1', '2001:db8:0:0:0:0:0:1'])
    expect(asked.filter(({ over }) => over === 'tcp').length).toBe(2)
  })

  test('cut over TCP too is an error', async () => {
    const { port } = await server((one) => [answering(one, [], { flags: 0x0380 })])
    await expect(resolve(at(port))).rejects.toMatchObject({ code: 'E_UPSTREAM', message: expect.stringContaining('cuts its answer') })
  })

  test('guesses before the true answer change nothing', async () => {
    const { port } = await server((one) => [
      answering({ ...one, id: one.id ^ 1 }, [{ type: 'A', name: 'a.example', data: '192.0.2.66' }]),
      answering({ ...one, name: 'b.example' }, [{ type: 'A', name: 'a.example', data: '192.0.2.66' }]),
      Buffer.from('noise'),
      answering(one, records(one)),
    ])
    expect(await resolve(at(port))).toEqual(['192.0.2.1', '2001:db8:0:0:0:0:0:1'])
  })

  test('guesses without end are given up', async () => {
    const { port } = await server((one) => Array.from({ length: 40 }, (_, i) => answering({ ...one, id: (one.id + 1 + i) & 0xffff }, [])))
    await expect(resolve(at(port))).rejects.toMatchObject({ code: 'E_UPSTREAM', message: expect.stringContaining('not asked') })
  })

  test('one that refuses, fails or is not there is followed by the next', async () => {
    const refuses = await server((one) => [answering(one, [], { flags: 0x0185 })])
    const gone = await dnsServer(honest)
    gone.close()
    const good = await server(honest)
    expect(await resolve(at(gone.port, refuses.port, good.port))).toEqual(['192.0.2.1', '2001:db8:0:0:0:0:0:1'])
    expect(refuses.asked.length).toBe(2)
  })

  test('one that says nothing is followed by the next', async () => {
    const silent = await server(() => null)
    const good = await server(honest)
    expect(await resolve(at(silent.port, good.port))).toEqual(['192.0.2.1', '2001:db8:0:0:0:0:0:1'])
  })

  test('a family that fails does not hide the other', async () => {
    const { port } = await server((one) => [one.type === 'A' ? answering(one, [FOUR]) : answering(one, [], { flags: 0x0182 })])
    expect(await resolve(at(port))).toEqual(['192.0.2.1'])
  })

  test('a name that does not exist, one without addresses, and a request that was cancelled', async () => {
    const { port } = await server((one) => [answering(one, [], one.name === 'none.example' ? { flags: 0x0183 } : {})])
    await expect(resolve(at(port), 'none.example')).rejects.toMatchObject({ code: 'E_UPSTREAM', errno: 'EHOSTUNREACH' })
    expect(await resolve(at(port), 'empty.example')).toEqual([])
    const silent = await server(() => null)
    const abort = new AbortController()
    const waiting = resolve(at(silent.port), 'a.example', abort.signal)
    abort.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'E_CANCELLED' })
  })

  test('no more than 64 names are asked for at once; the others wait', async () => {
    let answers = false
    const { port, asked } = await server((one) => (answers || one.name === 'control.example' ? [answering(one, records(one))] : null))
    const abort = new AbortController()
    const resolver = createResolver(at(port), [])
    const first = Array.from({ length: 64 }, (_, i) => resolver(`n${i}.example`, abort.signal).catch((error) => error.code))
    await expect.poll(() => asked.length).toBe(128)
    const later = resolver('a.example', never)
    // Another resolver's question comes after it would have come.
    await resolve(at(port), 'control.example')
    expect(asked.filter(({ name }) => name === 'a.example')).toEqual([])
    answers = true
    abort.abort()
    expect(new Set(await Promise.all(first))).toEqual(new Set(['E_CANCELLED']))
    expect(await later).toEqual(['192.0.2.1', '2001:db8:0:0:0:0:0:1'])
  })
})

describe('DNS over HTTPS', () => {
  const MEDIA = { 'content-type': 'application/dns-message' }
  type Reply = (asked: DnsAsked) => { status?: number; headers?: Record<string, string>; body?: Uint8Array }

  async function https(reply: Reply): Promise<{ port: number; asked: DnsAsked[]; hosts: Set<string | undefined> }> {
    const asked: DnsAsked[] = []
    const hosts = new Set<string | undefined>()
    const one: Server = createHttps(SERVER, (request, response) => {
      const parts: Buffer[] = []
      hosts.add(request.headers.host)
      request.on('data', (part: Buffer) => parts.push(part))
      request.on('end', () => {
        const question = askedOf(Buffer.concat(parts), 'https')
        asked.push(question)
        const { status = 200, headers = MEDIA, body = answering(question, records(question)) } = reply(question)
        response.writeHead(status, headers).end(body)
      })
    })
    one.on('tlsClientError', () => undefined)
    await new Promise<void>((done) => one.listen(0, '127.0.0.1', done))
    open.push({
      close: () => {
        one.closeAllConnections()
        one.close()
      },
    })
    return { port: (one.address() as AddressInfo).port, asked, hosts }
  }
  const doh = (port: number, host = 'good.example'): ResolverChoice => ({
    kind: 'https',
    url: `https://${host}:${port}/dns-query`,
    address: '127.0.0.1',
  })

  test('the given address is dialled, and the name of the URL is asked nobody for', async () => {
    const { port, asked, hosts } = await https(() => ({}))
    expect(await resolve(doh(port))).toEqual(['192.0.2.1', '2001:db8:0:0:0:0:0:1'])
    expect(asked.map(({ id, name, type }) => `${id} ${name} ${type}`).sort()).toEqual(['0 a.example A', '0 a.example AAAA'])
    expect([...hosts]).toEqual([`good.example:${port}`])
  })

  test('a certificate for another name, or of an authority nobody trusts, is refused before a question is asked', async () => {
    const { port, asked } = await https(() => ({}))
    await expect(resolve(doh(port, 'other.example'))).rejects.toMatchObject({ code: 'E_UPSTREAM' })
    await expect(createResolver(doh(port), [])('a.example', never)).rejects.toMatchObject({ code: 'E_UPSTREAM' })
    expect(asked).toEqual([])
  })

  test.each<[string, Reply, RegExp]>([
    ['a redirect', () => ({ status: 307, headers: { location: 'https://evil.example/' } }), /status 307/],
    ['an error', () => ({ status: 500 }), /status 500/],
    ['a page', () => ({ headers: { 'content-type': 'text/html' } }), /something else than DNS/],
    ['an answer to another question', (one) => ({ body: answering({ ...one, name: 'b.example' }, [FOUR]) }), /something else/],
    ['more than any answer has', () => ({ body: Buffer.alloc(70_000) }), /more than 65535 bytes/],
    ['noise', () => ({ body: Buffer.from('noise') }), /something else/],
  ])('%s is no answer', async (_what, reply, message) => {
    const { port } = await https(reply)
    await expect(resolve(doh(port))).rejects.toMatchObject({ code: 'E_UPSTREAM', message: expect.stringMatching(message) })
  })
})

test('the host’s own', async () => {
  const answers = await resolve({ kind: 'system' }, 'localhost')
  expect(answers.every((address) => ['127.0.0.1', '::1'].includes(address))).toBe(true)
  await expect(resolve({ kind: 'system' }, 'no-such-name.invalid')).rejects.toMatchObject({ errno: 'EHOSTUNREACH' })
})
