import type { RequestListener } from 'node:http'
import { MESSAGE, type WireValue } from '@authority/protocol'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { captured, closeWorlds, reserved } from '../../gate/testing/world.ts'
import { type HttpWitness, httpWitness } from './testing/http.ts'
import { type NetWorld, type NetWorldOptions, netWorld, witness } from './testing/world.ts'

const open: { close(): Promise<void> }[] = []
const nets: NetWorld[] = []
afterEach(async () => {
  for (const net of nets.splice(0)) await net.session.end()
  closeWorlds()
  for (const server of open.splice(0)) await server.close()
})

type Fetch = (
  path: string,
  more?: Partial<{
    method: string
    headers: [string, string][]
    body: Uint8Array
    maxBytes: number
    timeoutMs: number
    redirects: number
    host: string
  }>,
) => Promise<readonly WireValue[] | string>

async function serving(
  answer: RequestListener,
  options: NetWorldOptions = {},
): Promise<{ server: HttpWitness; net: NetWorld; fetch: Fetch }> {
  const server = await httpWitness(answer)
  open.push(server)
  const names = ['a.example', 'b.example']
  const net = await netWorld({
    connect: names.map((name) => `dns:${name}:${server.port}`),
    hosts: Object.fromEntries(names.map((name) => [name, '127.0.0.1'])),
    ...options,
  })
  nets.push(net)
  return { server, net, fetch: fetcher(net, server.port) }
}

function fetcher(net: NetWorld, port: number): Fetch {
  return (path, { method = 'GET', headers = [], body, maxBytes = 0, timeoutMs = 5000, redirects = 5, host = 'a.example' } = {}) => {
    const url = path.includes('://') ? path : `http://${host}:${port}${path}`
    return net.peer.call('net.fetch', [method, url, headers, body ?? null, maxBytes, timeoutMs, redirects])
  }
}

/** The body, or how it ended otherwise. */
async function bodyOf(net: NetWorld, answer: readonly WireValue[] | string): Promise<string> {
  if (typeof answer === 'string') return answer
  const stream = Number(answer[3])
  const last = () =>
    net.peer.received.find(
      (message) => (message.type === MESSAGE.STREAM_END || message.type === MESSAGE.STREAM_RESET) && message.stream === stream,
    )
  await net.peer.until(() => last() !== undefined)
  const end = last()
  return end?.type === MESSAGE.STREAM_RESET
    ? `reset ${net.peer.names[net.peer.received.indexOf(end)]?.split(' ')[1]}`
    : net.peer.streamed(stream).toString()
}

describe('redirects', () => {
  test('to what no rule allows, in any spelling and scheme: never dialled, and the answer is an error', async () => {
    const forbidden = await witness()
    open.push(forbidden)
    const targets = [
      `http://127.0.0.1:${forbidden.port}/`,
      `http://127.1:${forbidden.port}/`,
      `http://2130706433:${forbidden.port}/`,
      `http://[::ffff:127.0.0.1]:${forbidden.port}/`,
      `http://0:${forbidden.port}/`,
      `http://forbidden.example:${forbidden.port}/`,
      `//forbidden.example:${forbidden.port}/`,
      `http://a.example:${forbidden.port}/`,
      `https://a.example:${forbidden.port}/`,
      `http://a.example@127.0.0.1:${forbidden.port}/`,
      `http://169.254.169.254/latest/meta-data/`,
      'file:///etc/passwd',
      'ftp://a.example/',
      'javascript:1',
      'data:text/plain,x',
      'http://',
      'http://[',
      `http://a.example:99999/`,
      `http://a.example/${'x'.repeat(9000)}`,
    ]
    const { server, net, fetch } = await serving((request, response) => {
      response.writeHead(302, { location: targets[Number(request.url?.slice(1))] }).end()
    })
    for (const [i, target] of targets.entries()) expect(await fetch(`/${i}`), target).toMatch(/^E_(POLICY_DENY|UPSTREAM)$/)
    expect(forbidden.connections.length).toBe(0)
    expect(net.dialled.every((where) => where === `127.0.0.1:${server.port}`)).toBe(true)
    expect(server.seen.length).toBe(targets.length)
    expect([net.world.pipeline.statistics.openLeases, reserved(net.world.budget)]).toEqual([0, 0])
  })

  test('each hop is on record before it is dialled', async () => {
    const { server, net, fetch } = await serving((request, response) => {
      if (request.url === '/start') response.writeHead(307, { location: `http://b.example:${server.port}/next?secret` }).end()
      else {
        // What the log says at this moment is durable: the hop waited for it.
        const hop = net.world.appended.findLastIndex((record) => record.type === 'LOOK' && record.counts[0]?.object.includes('b.example'))
        const durable = net.world.trace.lastIndexOf('durable') > net.world.trace.lastIndexOf('LOOK')
        response.end(String(hop >= 0 && durable))
      }
    })
    const answer = await fetch('/start')
    expect(await bodyOf(net, answer)).toBe('true')
    expect(JSON.stringify(net.world.appended)).not.toContain('secret')
    expect(answer[1]).toBe(`http://b.example:${server.port}/next?secret`)
  })

  test('loops end at the cap with the last answer', async () => {
    const { server, fetch } = await serving((_, response) => response.writeHead(302, { location: '/again' }).end('x'.repeat(100_000)))
    expect((await fetch('/', { redirects: 4 }))[0]).toBe(302)
    expect(server.seen.length).toBe(5)
    expect((await fetch('/', { redirects: 0 }))[0]).toBe(302)
  })

  test('credentials go to their own origin only; the method and body follow the Fetch standard', async () => {
    const { server, net, fetch } = await serving((request, response) => {
      const [, status, where] = request.url?.split('/') ?? []
      if (where === undefined) response.end('done')
      else response.writeHead(Number(status), { location: `http://${where}.example:${server.port}/end` }).end()
    })
    const headers: [string, string][] = [
      ['Authorization', 'Bearer s'],
      ['Cookie', 'c=1'],
      ['Proxy-Authenticate', 'p'],
      ['X-Mine', 'm'],
      ['Content-Type', 'text/plain'],
    ]
    const cases = [
      [301, 'POST', 'GET', ''],
      [302, 'POST', 'GET', ''],
      [303, 'PUT', 'GET', ''],
      [307, 'POST', 'POST', 'body'],
      [308, 'PUT', 'PUT', 'body'],
    ] as const
    for (const [status, method, then, body] of cases)
      for (const where of ['a', 'b']) {
        await bodyOf(net, await fetch(`/${status}/${where}`, { method, headers, body: Buffer.from('body') }))
        const request = server.requests.at(-1)
        expect(server.seen.at(-1)).toBe(`${then} /end ${where}.example:${server.port}`)
        expect(request?.body).toBe(body)
        expect(request?.headers.authorization).toBe(where === 'a' ? 'Bearer s' : undefined)
        expect(request?.headers.cookie).toBe(where === 'a' ? 'c=1' : undefined)
        expect(request?.headers['x-mine']).toBe('m')
        expect(request?.headers['content-type']).toBe(then === 'GET' ? undefined : 'text/plain')
      }
  })
})

describe('what an agent may write into a request', () => {
  test('no header that frames the message, no control character in any, nothing beyond Latin-1', async () => {
    const { server, fetch } = await serving((_, response) => response.end())
    const bad: [string, string][] = [
      ['Host', 'forbidden.example'],
      ['hOsT', 'x'],
      ['Transfer-Encoding', 'chunked'],
      ['Content-Length', '5'],
      ['Connection', 'keep-alive, x'],
      ['Upgrade', 'websocket'],
      ['HTTP2-Settings', 'x'],
      ['TE', 'trailers'],
      ['Trailer', 'x'],
      ['Expect', '100-continue'],
      ['Proxy-Authorization', 'x'],
      ['Keep-Alive', 'x'],
      ['x', 'a\r\nHost: forbidden.example'],
      ['x', 'a\nb'],
      ['x', 'a\rb'],
      ['x', 'a\u0000b'],
      ['x', 'a\u007f'],
      // Written as one byte these would be CR and LF.
      ['x', 'a\u010d\u010ab'],
      ['x', '\u2028'],
      ['x y', '1'],
      ['x:', '1'],
      ['x\r\ny', '1'],
      ['', '1'],
      ['ünï', '1'],
    ]
    for (const [name, value] of bad)
      expect(await fetch('/', { headers: [[name, value]] }), JSON.stringify([name, value])).toBe('E_CONFLICT')
    expect(server.seen).toEqual([])
    expect((await fetch('/', { headers: [['x', 'tab\tand é']] }))[0]).toBe(200)
  })

  test('no method that tunnels or echoes, no body where none belongs, no userinfo, no other scheme', async () => {
    const { server, fetch } = await serving((_, response) => response.end())
    for (const method of ['CONNECT', 'TRACE', 'get', '', 'GET /x HTTP/1.1\r\n', 'X'.repeat(17), 'G T'])
      expect(await fetch('/', { method })).toMatch(/^E_(CONFLICT|PROTOCOL)$/)
    for (const method of ['GET', 'HEAD']) expect(await fetch('/', { method, body: Buffer.from('x') })).toBe('E_CONFLICT')
    for (const url of [
      `http://user@a.example:${server.port}/`,
      `http://a:b@a.example:${server.port}/`,
      'ftp://a.example/',
      'file:///etc/passwd',
      'a.example',
      '',
      'unix:/run/x',
      'javascript:1',
    ])
      expect(await fetch(url.includes('://') ? url : `x://${url}`), url).toBe('E_CONFLICT')
    expect(server.seen).toEqual([])
  })

  test('a URL cannot smuggle: what would break the line is escaped', async () => {
    const { server, fetch } = await serving((_, response) => response.end())
    expect((await fetch('/a b\r\nX: 1/é?q= \n#frag'))[0]).toBe(200)
    expect(server.seen[0]).toBe(`GET /a%20bX:%201/%C3%A9?q=%20 a.example:${server.port}`)
    expect(Object.keys(server.requests[0]?.headers ?? {})).not.toContain('x')
  })

  test('a URL with a stand-in address is about its name: dialled, named and decided so', async () => {
    const { server, net, fetch } = await serving((_, response) => response.end('ok'))
    const [[address]] = (await net.peer.call('net.dns', ['a.example'])) as [[string]]
    expect((await fetch(`http://${address}:${server.port}/x`))[1]).toBe(`http://a.example:${server.port}/x`)
    expect([server.seen, net.dialled]).toEqual([[`GET /x a.example:${server.port}`], [`127.0.0.1:${server.port}`]])
  })

  test('bodies arrive whole, framed by the gate', async () => {
    const { server, net, fetch } = await serving((request, response) => request.on('end', () => response.end('ok')))
    for (const size of [0, 1, 100_000]) {
      await bodyOf(net, await fetch('/', { method: 'POST', body: Buffer.alloc(size, 'b') }))
      expect(server.requests.at(-1)?.body.length).toBe(size)
      expect(server.requests.at(-1)?.headers).toMatchObject({ 'content-length': String(size) })
    }
  })
})

describe('what a server may answer', () => {
  test('HEAD, 204, 304, chunked, empty', async () => {
    const { net, fetch } = await serving((request, response) => {
      switch (request.url) {
        case '/204':
          return response.writeHead(204).end()
        case '/304':
          return response.writeHead(304).end()
        case '/chunked':
          response.write('a'.repeat(10))
          return response.end('b')
        default:
          return response.end('body')
      }
    })
    expect(await bodyOf(net, await fetch('/', { method: 'HEAD' }))).toBe('')
    expect(await bodyOf(net, await fetch('/204'))).toBe('')
    expect(await bodyOf(net, await fetch('/304'))).toBe('')
    expect(await bodyOf(net, await fetch('/chunked'))).toBe('aaaaaaaaaab')
    await vi.waitFor(() => expect(net.world.pipeline.statistics.openLeases).toBe(0))
    expect(reserved(net.world.budget)).toBe(0)
  })

  test('content stays as it is sent: nothing is unpacked', async () => {
    const { net, fetch } = await serving((_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('not gzip at all'))
    expect(await bodyOf(net, await fetch('/'))).toBe('not gzip at all')
  })

  test('a body larger than the cap is cut with an error, with and without a length', async () => {
    const { net, fetch } = await serving((request, response) => {
      if (request.url === '/chunked') response.write('x'.repeat(1000))
      response.end('x'.repeat(100_000))
    })
    for (const path of ['/', '/chunked']) expect(await bodyOf(net, await fetch(path, { maxBytes: 50_000 }))).toBe('reset E_FRAME_TOO_LARGE')
    expect(await bodyOf(net, await fetch('/', { maxBytes: 100_000 }))).toHaveLength(100_000)
  })

  test('headers without end', async () => {
    const server = await witness((socket) => {
      socket.on('data', () => {
        socket.write('HTTP/1.1 200 OK\r\n')
        for (let i = 0; i < 40; i++) socket.write(`x-${i}: ${'y'.repeat(4000)}\r\n`)
      })
    })
    open.push(server)
    const net = await netWorld({ connect: [`dns:a.example:${server.port}`], hosts: { 'a.example': '127.0.0.1' } })
    nets.push(net)
    expect(await fetcher(net, server.port)('/')).toBe('E_UPSTREAM')
  })

  test.each([
    ['nothing', ''],
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n'],
    ['a broken status line', 'HTTP/1.1 abc\r\n\r\n'],
    ['half a head', 'HTTP/1.1 200 OK\r\ncontent-le'],
  ])('%s, then a close', async (_name, bytes) => {
    const server = await witness((socket) => socket.on('data', () => socket.end(bytes)))
    open.push(server)
    const net = await netWorld({ connect: [`dns:a.example:${server.port}`], hosts: { 'a.example': '127.0.0.1' } })
    nets.push(net)
    expect(await fetcher(net, server.port)('/')).toBe('E_UPSTREAM')
    expect([net.world.pipeline.statistics.openLeases, reserved(net.world.budget)]).toEqual([0, 0])
  })

  test.each(['end', 'reset'] as const)('a body that breaks off (%s) is no whole body', async (how) => {
    const server = await witness((socket) =>
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf', () => (how === 'end' ? socket.end() : socket.resetAndDestroy()))
      }),
    )
    open.push(server)
    const net = await netWorld({ connect: [`dns:a.example:${server.port}`], hosts: { 'a.example': '127.0.0.1' } })
    nets.push(net)
    expect(await bodyOf(net, await fetcher(net, server.port)('/'))).toMatch(/^(reset )?E_UPSTREAM$/)
    await vi.waitFor(() => expect(net.world.pipeline.statistics.openLeases).toBe(0))
  })

  test('two answers to one request: the second is nobody’s', async () => {
    const server = await witness((socket) =>
      socket.once(
        'data',
        () => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\noneHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\ntwo'),
      ),
    )
    open.push(server)
    const net = await netWorld({ connect: [`dns:a.example:${server.port}`], hosts: { 'a.example': '127.0.0.1' } })
    nets.push(net)
    const fetch = fetcher(net, server.port)
    expect(await bodyOf(net, await fetch('/1'))).toMatch(/^(one|reset E_UPSTREAM)$/)
    expect(server.connections.length).toBe(1)
    await fetch('/2')
    expect(server.connections.length).toBe(2)
  })
})

describe('time', () => {
  test.each([
    ['a server that never answers', () => undefined],
    ['a server that never ends its body', (_request: unknown, response: { write: (text: string) => void }) => response.write('x')],
  ] as [string, RequestListener][])('%s: the deadline of the exchange ends it', async (_name, answer) => {
    const { net, fetch } = await serving(answer)
    expect(await bodyOf(net, await fetch('/', { timeoutMs: 150 }))).toMatch(/^(reset )?E_TIMEOUT$/)
    await vi.waitFor(() => expect(net.world.pipeline.statistics.openLeases).toBe(0))
    expect(reserved(net.world.budget)).toBe(0)
  })

  test('a server that never reads', async () => {
    const server = await witness((socket) => socket.pause())
    open.push(server)
    const net = await netWorld({ connect: [`dns:a.example:${server.port}`], hosts: { 'a.example': '127.0.0.1' } })
    nets.push(net)
    expect(await fetcher(net, server.port)('/', { method: 'POST', body: Buffer.alloc(500_000), timeoutMs: 150 })).toBe('E_TIMEOUT')
  })

  test('an agent that never takes the body: the connection does not outlive the deadline', async () => {
    const { net, fetch } = await serving((_, response) => response.end(Buffer.alloc(2 << 20)))
    expect(await bodyOf(net, await fetch('/', { timeoutMs: 200 }))).toBe('reset E_TIMEOUT')
    await vi.waitFor(() => expect(net.world.pipeline.statistics.openLeases).toBe(0))
  })

  test('a cancelled request', async () => {
    const { server, net } = await serving(() => undefined)
    const id = net.peer.request('net.fetch', ['GET', `http://a.example:${server.port}/`, [], null, 0, 60_000, 0])
    await vi.waitFor(() => expect(server.seen.length).toBe(1))
    net.peer.send({ type: MESSAGE.CANCEL, id })
    expect(await net.peer.answer(id)).toMatchObject({ code: 55 })
    expect([net.world.pipeline.statistics.openLeases, reserved(net.world.budget)]).toEqual([0, 0])
  })

  test('a session that ends in the middle of a body', async () => {
    const { net, fetch } = await serving((_, response) => response.write('x'))
    await fetch('/')
    await net.session.end()
    expect([net.world.pipeline.statistics.openLeases, reserved(net.world.budget)]).toEqual([0, 0])
    expect((await net.world.sealed()).verdict.findings).toEqual([])
  })
})

describe('a budget of bytes', () => {
  test('counts heads as well as bodies, both ways', async () => {
    const { net, fetch } = await serving((request, response) =>
      request.on('end', () => response.writeHead(200, { 'x-head': 'h'.repeat(500) }).end('b'.repeat(300))),
    )
    await bodyOf(net, await fetch(`/${'u'.repeat(400)}`, { method: 'POST', headers: [['x', 'v'.repeat(200)]], body: Buffer.alloc(100) }))
    await vi.waitFor(() => expect(net.world.pipeline.statistics.openLeases).toBe(0))
    expect(captured(net.world.budget, 'bytes')).toBeGreaterThan(1500)
    expect(captured(net.world.budget, 'bytes')).toBeLessThan(2500)
  })

  test('too small for the request: nothing is sent', async () => {
    const { server, fetch } = await serving((_, response) => response.end(), { budgets: { bytes: 1000 } })
    expect(await fetch('/', { method: 'POST', body: Buffer.alloc(2000) })).toBe('E_BUDGET_EXCEEDED')
    expect(server.seen).toEqual([])
  })

  test('used up by the body: cut there', async () => {
    const { net, fetch } = await serving((_, response) => response.end(Buffer.alloc(100_000)), { budgets: { bytes: 50_000 } })
    expect(await bodyOf(net, await fetch('/'))).toBe('reset E_BUDGET_EXCEEDED')
    await vi.waitFor(() => expect(net.world.pipeline.statistics.openLeases).toBe(0))
    expect(captured(net.world.budget, 'bytes')).toBeLessThanOrEqual(50_000)
    expect((await net.world.sealed()).verdict.findings).toEqual([])
  })
})

describe('the record', () => {
  test('a query and a body are committed, never recorded', async () => {
    const { net, fetch } = await serving((_, response) => response.end('the answer'))
    await bodyOf(
      net,
      await fetch('/p?token=hush', { method: 'POST', headers: [['authorization', 'Bearer hush2']], body: Buffer.from('hush3') }),
    )
    expect(JSON.stringify(net.world.appended)).not.toMatch(/hush|the answer/)
    expect(net.world.appended.find((record) => record.type === 'INTENT')).toMatchObject({ args: expect.stringMatching(/^[0-9a-f]{64}$/) })
  })
})
