/** What the tests of net.fetch share: a server on loopback behind two names, a session, and how a body ended. */
import type { RequestListener } from 'node:http'
import { MESSAGE, type WireValue } from '@authority/protocol'
import { closeWorlds } from '../../../gate/testing/world.ts'
import { type HttpWitness, httpWitness } from './http.ts'
import { type NetWorld, type NetWorldOptions, netWorld } from './world.ts'

export const open: { close(): Promise<void> }[] = []
export const nets: NetWorld[] = []
/** For afterEach. */
export async function closeAll(): Promise<void> {
  for (const net of nets.splice(0)) await net.session.end()
  closeWorlds()
  for (const server of open.splice(0)) await server.close()
}

export type Fetch = (
  path: string,
  more?: Partial<{
    method: string
    headers: [string, string][]
    body: Uint8Array
    maxBytes: number
    timeoutMs: number
    redirects: number
    bodyStream: number
    bodyBytes: number | null
    host: string
  }>,
) => Promise<readonly WireValue[] | string>

export async function serving(
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

export function fetcher(net: NetWorld, port: number): Fetch {
  return (
    path,
    {
      method = 'GET',
      headers = [],
      body,
      maxBytes = 0,
      timeoutMs = 5000,
      redirects = 5,
      bodyStream = 0,
      bodyBytes = null,
      host = 'a.example',
    } = {},
  ) => {
    const url = path.includes('://') ? path : `http://${host}:${port}${path}`
    return net.peer.call('net.fetch', [method, url, headers, body ?? null, maxBytes, timeoutMs, redirects, bodyStream, bodyBytes])
  }
}

/** The body, or how it ended otherwise. */
export async function bodyOf(net: NetWorld, answer: readonly WireValue[] | string): Promise<string> {
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
