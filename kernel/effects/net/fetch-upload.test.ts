import { createHash } from 'node:crypto'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { MESSAGE } from '@authority/protocol'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { captured, reserved } from '../../gate/testing/world.ts'
import { BodyWriter } from './testing/body-writer.ts'
import { bodyOf, closeAll, fetcher, nets, open, serving } from './testing/fetching.ts'
import { type NetWorld, type NetWorldOptions, netWorld, witness } from './testing/world.ts'

afterEach(closeAll)

const PIECE = Buffer.alloc(64 * 1024, 'p')

async function uploading(answer: RequestListener, options: NetWorldOptions = {}) {
  /** How each request ended for the server: `end` is a whole one. */
  const ends: string[] = []
  const served = await serving((request, response) => {
    request.on('end', () => ends.push('end')).on('aborted', () => ends.push('aborted'))
    response.on('error', () => undefined)
    answer(request, response)
  }, options)
  return { ...served, ends, writer: await BodyWriter.open(served.net) }
}

/** Says how much it got when it has all. */
const counting = (request: IncomingMessage, response: ServerResponse): void => {
  let bytes = 0
  request.on('data', (data: Buffer) => {
    bytes += data.length
  })
  request.on('end', () => response.end(`${bytes} bytes`))
}

const POST = { method: 'POST' }

async function closed(net: NetWorld) {
  await vi.waitFor(() => expect(net.world.pipeline.statistics.openLeases).toBe(0))
  expect(reserved(net.world.budget)).toBe(0)
  return net.world.appended.findLast((record) => record.type === 'CLOSE')?.detail
}

describe('a request body that is streamed', () => {
  test.each([
    ['of unknown length, in chunks', null, { 'transfer-encoding': 'chunked' }],
    ['of known length', 10, { 'content-length': '10' }],
  ] as const)('arrives %s; its size and digest are in the CLOSE record', async (_name, bodyBytes, framing) => {
    const { net, fetch, server, writer, ends } = await uploading(counting)
    const answer = fetch('/', { ...POST, bodyStream: writer.body, bodyBytes })
    writer.data('first')
    await vi.waitFor(() => expect(server.requests[0]?.body).toBe('first'))
    writer.data('after')
    writer.end()
    expect(await bodyOf(net, await answer)).toBe('10 bytes')
    expect(server.requests).toMatchObject([{ body: 'firstafter', headers: framing }])
    expect(Object.keys(server.requests[0]?.headers ?? {})).toEqual(expect.not.arrayContaining(['expect']))
    const detail = await closed(net)
    const sha256_out = createHash('sha256').update('firstafter').digest('hex')
    expect(detail).toMatchObject({ bytes_out: 10, sha256_out, request_body: 'whole', bytes_in: 8 })
    expect(ends).toEqual(['end'])
    expect((await net.world.sealed()).verdict.findings).toEqual([])
  })

  test.each([null, 0])('may be empty (length %s)', async (bodyBytes) => {
    const { net, fetch, server, writer } = await uploading(counting)
    writer.end()
    expect(await bodyOf(net, await fetch('/', { ...POST, bodyStream: writer.body, bodyBytes }))).toBe('0 bytes')
    expect(server.requests[0]?.body).toBe('')
    expect(await closed(net)).toMatchObject({ bytes_out: 0, request_body: 'whole' })
  })

  test('is far larger than any window, and the same bytes arrive', async () => {
    const digest = createHash('sha256')
    const { net, fetch, writer } = await uploading((request, response) => {
      request.on('data', (data: Buffer) => digest.update(data)).on('end', () => response.end('got it'))
    })
    const answer = fetch('/', { ...POST, bodyStream: writer.body })
    const sent = createHash('sha256')
    for (let i = 0; i < 128; i++) {
      const piece = Buffer.alloc(PIECE.length, i)
      await net.peer.until(() => writer.granted >= (i + 1) * PIECE.length)
      writer.data(piece)
      sent.update(piece)
    }
    writer.end()
    expect(await bodyOf(net, await answer)).toBe('got it')
    const sha256 = sent.digest('hex')
    expect(digest.digest('hex')).toBe(sha256)
    expect(await closed(net)).toMatchObject({ bytes_out: 8 << 20, sha256_out: sha256 })
    expect(captured(net.world.budget, 'bytes_out')).toBeGreaterThan(8 << 20)
  })

  test('goes no faster than the server reads: an agent gets no credit for what nobody takes', async () => {
    const server = await witness((socket) => socket.pause())
    open.push(server)
    const net = await netWorld({ connect: [`dns:a.example:${server.port}`], hosts: { 'a.example': '127.0.0.1' } })
    nets.push(net)
    const writer = await BodyWriter.open(net)
    const answer = fetcher(net, server.port)('/', { ...POST, bodyStream: writer.body, timeoutMs: 1500 })
    let sent = 0
    const write = async (): Promise<void> => {
      for (; ; sent += PIECE.length) {
        await net.peer.until(() => sent + PIECE.length <= writer.granted)
        writer.data(PIECE)
      }
    }
    void write()
    expect(await answer).toBe('E_TIMEOUT')
    // What the kernel buffers of a connection on loopback, and two windows.
    expect(sent).toBeLessThan(16 << 20)
    expect(await closed(net)).toMatchObject({ request_body: 'broken off' })
  })

  test('nothing of it leaves before the fetch that names it was allowed', async () => {
    const { net, fetch, server, writer } = await uploading(counting)
    writer.data('secret')
    expect(await fetch('http://forbidden.example/', { ...POST, bodyStream: writer.body })).toBe('E_POLICY_DENY')
    await net.peer.until(() => writer.refusal !== undefined)
    expect([writer.refusal, server.seen, net.dialled]).toEqual(['E_CANCELLED', [], []])
  })

  test('is good for one fetch, of its own session', async () => {
    const { net, fetch, writer } = await uploading(counting)
    writer.end()
    await bodyOf(net, await fetch('/', { ...POST, bodyStream: writer.body }))
    expect(await fetch('/', { ...POST, bodyStream: writer.body })).toBe('E_CAP_INVALID')
    expect(await fetch('/', { ...POST, bodyStream: 77 })).toBe('E_CAP_INVALID')
  })

  test('is not given with a whole one, nor to GET, nor a length without it', async () => {
    const { fetch, writer, server } = await uploading(counting)
    expect(await fetch('/', { ...POST, bodyStream: writer.body, body: Buffer.from('x') })).toBe('E_CONFLICT')
    expect(await fetch('/', { bodyStream: writer.body })).toBe('E_CONFLICT')
    expect(await fetch('/', { ...POST, bodyBytes: 3 })).toBe('E_CONFLICT')
    expect(await fetch('/', { ...POST, bodyStream: writer.body, bodyBytes: 2 ** 40 })).toBe('E_CONFLICT')
    expect(server.seen).toEqual([])
  })
})

describe('a request body that does not end well is never taken for a whole one', () => {
  test.each([
    ['the agent resets it', (writer: BodyWriter) => writer.reset(), null, 'E_CANCELLED'],
    ['it is shorter than was said', (writer: BodyWriter) => writer.end(), 100, 'E_CONFLICT'],
    ['it is longer than was said', (writer: BodyWriter) => writer.data('too much'), 10, 'E_CONFLICT'],
  ] as const)('%s', async (_name, go, bodyBytes, code) => {
    const { net, fetch, server, writer, ends } = await uploading(counting)
    const answer = fetch('/', { ...POST, bodyStream: writer.body, bodyBytes })
    writer.data('begun')
    await vi.waitFor(() => expect(server.requests[0]?.body).toBe('begun'))
    go(writer)
    expect(await answer).toBe(code)
    await vi.waitFor(() => expect(ends).toEqual(['aborted']))
    expect(await closed(net)).toMatchObject({ bytes_out: 5, request_body: 'broken off' })
    expect((await net.world.sealed()).verdict.findings).toEqual([])
  })

  test.each(['before the answer', 'after the answer began'])('the agent dies %s', async (when) => {
    const { net, fetch, server, writer, ends } = await uploading((_, response) => {
      if (when !== 'before the answer') response.write('early')
    })
    const answer = fetch('/', { ...POST, bodyStream: writer.body })
    answer.catch(() => undefined)
    writer.data('begun')
    await vi.waitFor(() => expect(server.requests[0]?.body).toBe('begun'))
    if (when !== 'before the answer') await answer
    await net.session.end()
    await vi.waitFor(() => expect(ends).toEqual(['aborted']))
    expect(await closed(net)).toMatchObject({ bytes_out: 5, request_body: 'broken off' })
    expect((await net.world.sealed()).verdict.findings).toEqual([])
  })

  test('the request is cancelled', async () => {
    const { net, server, writer, ends } = await uploading(() => undefined)
    const url = `http://a.example:${server.port}/`
    const id = net.peer.request('net.fetch', ['POST', url, [], null, 0, 60_000, 0, writer.body, null])
    writer.data('begun')
    await vi.waitFor(() => expect(server.requests[0]?.body).toBe('begun'))
    net.peer.send({ type: MESSAGE.CANCEL, id })
    expect(await net.peer.answer(id)).toMatchObject({ code: 55 })
    await vi.waitFor(() => expect(ends).toEqual(['aborted']))
    await net.peer.until(() => writer.refusal === 'E_CANCELLED')
    await closed(net)
  })

  test('it never ends: the deadline of the exchange ends it', async () => {
    const { net, fetch, writer, ends } = await uploading(counting)
    const answer = fetch('/', { ...POST, bodyStream: writer.body, timeoutMs: 300 })
    writer.data('begun')
    expect(await answer).toBe('E_TIMEOUT')
    await vi.waitFor(() => expect(ends).toEqual(['aborted']))
    expect(await closed(net)).toMatchObject({ request_body: 'broken off' })
  })

  test('the budget is spent', async () => {
    const { net, fetch, writer, ends } = await uploading(counting, { budgets: { bytes_out: 100_000 } })
    const answer = fetch('/', { ...POST, bodyStream: writer.body })
    for (let i = 0; i < 4; i++) writer.data(PIECE)
    expect(await answer).toBe('E_BUDGET_EXCEEDED')
    await vi.waitFor(() => expect(ends).toEqual(['aborted']))
    expect(await closed(net)).toMatchObject({ bytes_out: PIECE.length, request_body: 'broken off' })
    expect(captured(net.world.budget, 'bytes_out')).toBeLessThanOrEqual(100_000)
    expect((await net.world.sealed()).verdict.findings).toEqual([])
  })

  test('the server goes away', async () => {
    const { net, fetch, writer } = await uploading((request) => request.once('data', () => request.socket.destroy()))
    const answer = fetch('/', { ...POST, bodyStream: writer.body })
    writer.data('begun')
    expect(await answer).toBe('E_UPSTREAM')
    await net.peer.until(() => writer.refusal === 'E_CANCELLED')
    await closed(net)
  })
})

describe('a server that answers before the body ends', () => {
  test('its whole answer arrives, and the agent is told to stop', async () => {
    const { net, fetch, writer } = await uploading((_, response) => response.writeHead(413).end('too large'))
    const answer = fetch('/', { ...POST, bodyStream: writer.body })
    writer.data('begun')
    const got = await answer
    expect([got[0], await bodyOf(net, got)]).toEqual([413, 'too large'])
    await net.peer.until(() => writer.refusal === 'E_CANCELLED')
    expect(await closed(net)).toMatchObject({ request_body: 'broken off', bytes_in: 9 })
  })

  test('both bodies go on side by side', async () => {
    const { net, fetch, writer } = await uploading((request, response) => {
      response.writeHead(200)
      response.flushHeaders()
      request.on('data', (data: Buffer) => response.write(data.toString().toUpperCase())).on('end', () => response.end('.'))
    })
    const answer = fetch('/', { ...POST, bodyStream: writer.body })
    writer.data('one')
    const got = await answer
    const stream = Number(got[3])
    await net.peer.until(() => net.peer.streamed(stream).toString() === 'ONE')
    writer.data('two')
    await net.peer.until(() => net.peer.streamed(stream).toString() === 'ONETWO')
    writer.end()
    expect(await bodyOf(net, got)).toBe('ONETWO.')
    expect(await closed(net)).toMatchObject({ bytes_out: 6, bytes_in: 7, request_body: 'whole' })
  })

  test('an agent that gives the answer up is done with its body too', async () => {
    const { net, fetch, writer, ends } = await uploading((_, response) => response.write('x'))
    const answer = fetch('/', { ...POST, bodyStream: writer.body })
    writer.data('begun')
    net.peer.send({ type: MESSAGE.STREAM_RESET, stream: Number((await answer)[3]), code: 55, message: 'x' })
    await vi.waitFor(() => expect(ends).toEqual(['aborted']))
    await net.peer.until(() => writer.refusal === 'E_CANCELLED')
    await closed(net)
  })
})

describe('a redirect of a streamed body', () => {
  const to = (status: number): RequestListener => {
    return (request, response) => {
      if (request.url === '/next') return response.end(request.method)
      request.on('end', () => response.writeHead(status, { location: '/next' }).end()).resume()
    }
  }

  test.each([307, 308])('%i, which needs it again, is an error that says what to do', async (status) => {
    const { net, server, writer } = await uploading(to(status))
    const url = `http://a.example:${server.port}/`
    const id = net.peer.request('net.fetch', ['POST', url, [], null, 0, 5000, 5, writer.body, null])
    writer.data('once')
    writer.end()
    expect(await net.peer.answer(id)).toMatchObject({ code: 56, message: expect.stringContaining('redirects: 0') })
    expect(server.seen.map((line) => line.split(' ')[1])).toEqual(['/'])
    expect(await closed(net)).toMatchObject({ bytes_out: 4, request_body: 'whole' })
  })

  test.each([301, 302, 303])('%i becomes a GET without it', async (status) => {
    const { net, fetch, server, writer } = await uploading(to(status))
    const answer = fetch('/', { ...POST, headers: [['content-type', 'text/plain']], bodyStream: writer.body })
    writer.data('once')
    writer.end()
    expect(await bodyOf(net, await answer)).toBe('GET')
    expect(server.requests).toMatchObject([{ body: 'once' }, { body: '' }])
    expect(server.requests[1]?.headers).not.toHaveProperty('content-type')
    await closed(net)
  })

  test('is handed on as it is when none are followed', async () => {
    const { fetch, writer } = await uploading(to(307))
    writer.end()
    expect((await fetch('/', { ...POST, redirects: 0, bodyStream: writer.body }))[0]).toBe(307)
  })
})
