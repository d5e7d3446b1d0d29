import type { RequestListener } from 'node:http'
import { MESSAGE } from '@authority/protocol'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { captured, reserved } from '../../gate/testing/world.ts'
import { bodyOf, closeAll, fetcher, nets, open, serving } from './testing/fetching.ts'
import { netWorld, witness } from './testing/world.ts'

afterEach(closeAll)

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
    const id = net.peer.request('net.fetch', ['GET', `http://a.example:${server.port}/`, [], null, 0, 60_000, 0, 0, null])
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
