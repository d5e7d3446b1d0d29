import { afterEach, describe, expect, test } from 'vitest'
import { reserved } from '../../gate/testing/world.ts'
import { bodyOf, closeAll, open, serving } from './testing/fetching.ts'
import { witness } from './testing/world.ts'

afterEach(closeAll)

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
