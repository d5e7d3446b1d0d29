/** Plain sockets of programs that know nothing of Authority, in a real VM, against servers on loopback. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answering, dnsServer } from '../../kernel/effects/net/testing/dns-server.ts'
import { findProgram, runProgram } from '../process/run-program.ts'
import { BIG, freePort, openWorld, TLS_ADDRESS, type World } from './network-guest/world.ts'
import { freshFolder, freshHome, removeFolder } from './vm-support.ts'

const ROOT = join(import.meta.dirname, '../..')
const GUEST = join(import.meta.dirname, 'network-guest')
const ECONNREFUSED = 111
const ECONNRESET = 104
const ENETUNREACH = 101
const EPERM = 1
const EAI_NONAME = -2

interface Found {
  readonly name: string
  readonly found?: unknown
  readonly error?: string
  readonly errno?: number | null
}

let folder: string
let home: string
let world: World

beforeAll(async () => {
  const built = await runProgram([process.execPath, 'run', join(ROOT, 'cli/build/build.ts')], { deadlineMs: 170_000 })
  if (built.code !== 0) throw new Error(built.stderr)
  folder = freshFolder('network-')
  home = freshHome(folder).path
  world = await openWorld(folder)
})

afterAll(() => {
  world?.close()
  if (folder !== undefined) removeFolder(folder)
})

async function run(
  program: string,
  connect: readonly string[],
  args: readonly string[],
  flags: readonly string[] = [],
): Promise<{ out: string; err: string; code: number | null }> {
  const policy = join(folder, 'policy.json')
  writeFileSync(policy, JSON.stringify({ version: '1.0', profiles: ['python'], fs: { read: ['/**'] }, net: { connect } }))
  const hosts = ['--host', 'web.test=127.0.0.1', '--host', `tls.test=${TLS_ADDRESS}`]
  const line = [join(ROOT, 'dist/authority'), 'run', program, '--policy', policy, ...hosts, ...flags, '--accel', 'tcg', '--', ...args]
  const env = { PATH: process.env.PATH ?? '', HOME: folder, AUTHORITY_HOME: home }
  const { code, stdout, stderr } = await runProgram(line, { env, deadlineMs: 110_000 })
  return { out: Buffer.from(stdout).toString(), err: stderr, code }
}

describe('a Python program', () => {
  let found: ReadonlyMap<string, Found>
  let err = ''
  const of = (name: string): Found => found.get(name) ?? { name }

  beforeAll(async () => {
    const agent = join(folder, 'agent')
    mkdirSync(agent)
    copyFileSync(join(GUEST, 'main.py'), join(agent, 'main.py'))
    writeFileSync(join(agent, 'ca.pem'), world.authority)
    const connect = [world.web, world.echo, world.closed].map((port) => `dns:web.test:${port}`)
    const ended = await run(agent, [...connect, 'dns:tls.test:8443'], [world.web, world.echo, world.closed].map(String))
    err = ended.err
    const lines = ended.out.split('\n').filter(Boolean)
    found = new Map(lines.map((line) => JSON.parse(line) as Found).map((each) => [each.name, each]))
    if (ended.code !== 0) throw new Error(`${ended.out}\n${ended.err}`)
  })

  test('reaches what is granted, by its name', () => {
    expect(of('http').found).toBe('hello web.test')
    expect(of('https').found).toBe('secure')
    expect(of('still there').found).toBe('hello web.test')
  })

  test.each(['denied port', 'denied address', 'refused', 'udp', 'own server elsewhere'])('%s: connection refused, at once', (name) => {
    expect(of(name)).toMatchObject({ errno: ECONNREFUSED })
  })

  test('a name no rule could allow does not exist', () => {
    expect(of('denied name')).toMatchObject({ error: 'gaierror', errno: EAI_NONAME })
    expect(of('dns unknown').found).toMatchObject({ rcode: 3, answers: 0 })
  })

  test('IPv6 and raw sockets fail at once', () => {
    expect(of('ipv6')).toMatchObject({ errno: ENETUNREACH })
    expect(of('raw')).toMatchObject({ errno: EPERM })
  })

  test('half-close, reset and non-blocking connect mean what they mean', () => {
    expect(of('half-close').found).toBe('said, heard')
    expect(of('reset')).toMatchObject({ errno: ECONNRESET })
    expect(of('non-blocking').found).toEqual([true, 0])
  })

  test('a byte sent as urgent arrives as an ordinary one, in its place', () => {
    expect(of('urgent').found).toBe('before!after, heard')
  })

  test('bytes arrive whole, both ways', () => {
    expect(of('download').found).toEqual([BIG.length, createHash('sha256').update(BIG).digest('hex')])
    expect(of('upload').found).toBe(true)
  })

  test('200 connections at once; 20 that nobody reads slow no other', () => {
    expect(of('parallel').found).toBe(200)
    expect(of('stalled').found).toBe('hello web.test')
  })

  test('its own servers on 127.0.0.1 are its own', () => {
    expect(of('own server').found).toBe('mine')
    expect(of('dns localhost').found).toBe('127.0.0.1')
  })

  test('DNS at any server: one A record, other types empty, EDNS kept, TCP too, backwards too', () => {
    const one = { id: 0x1234, rcode: 0, answers: 1, additional: 0 }
    expect(of('dns A').found).toEqual(one)
    expect(of('dns A at another server').found).toEqual(one)
    expect(of('dns AAAA').found).toEqual({ ...one, answers: 0, additional: 1 })
    expect(of('dns HTTPS').found).toEqual({ ...one, answers: 0 })
    expect(of('dns tcp').found).toEqual([
      { ...one, id: 0 },
      { ...one, id: 1, rcode: 3, answers: 0 },
      { ...one, id: 2 },
    ])
    expect(of('reverse').found).toBe('web.test')
  })

  test('DNS that no resolver sends is answered or dropped, connections with impossible lengths are closed, and the next question is answered', () => {
    const one = { id: 0, rcode: 0, answers: 1, additional: 0 }
    expect(of('hostile dns').found).toEqual([3, true, one])
  })

  test('a port of TLS carries TLS for the granted name and nothing else', () => {
    expect(of('another name in the hello')).toMatchObject({ errno: ECONNRESET })
    expect(of('no TLS')).toMatchObject({ errno: ECONNRESET })
    expect(world.witness.tlsRequests).toBe(1)
  })

  test('finds the usual certificate authorities', () => {
    expect(of('authorities').found).toBe(true)
  })

  test('is told by name what was denied, with what would allow it', () => {
    expect(err).toContain('denied net.connect web.test:81 · allow it with {"version":"1.0","net":{"connect":["dns:web.test:81"]}}')
    expect(err).toContain('denied net.connect 192.0.2.1:80')
    expect(err).toContain('denied net.dns other.test')
  })
})

describe('programs of this host', () => {
  test.each(['curl', 'wget'])('%s', async (name) => {
    const program = findProgram(name)
    if (program === null) throw new Error(`${name} is not installed`)
    const url = `http://web.test:${world.web}/`
    const flags = name === 'curl' ? ['-sS', '--max-time', '60', url] : ['-q', '-O', '-', '-T', '60', '-t', '1', url]
    const { out, code } = await run(program, [`dns:web.test:${world.web}`], flags)
    expect(out).toBe('hello web.test')
    expect(code).toBe(0)
  })
})

test('3,000 connections at once, each used twice; one goes on beside 50 whose answers nobody reads', async () => {
  const agent = join(folder, 'thousands.py')
  copyFileSync(join(GUEST, 'thousands.py'), agent)
  const before = world.witness.connections
  const { out, err, code } = await run(agent, [`dns:web.test:${world.echo}`], [String(world.echo), '3000'])
  expect([code, out.replace(/ slowest.*/, ''), err]).toEqual([0, 'open 3000\nagain 3000\ngoes on 20\n', expect.any(String)])
  expect(world.witness.connections - before).toBe(3000)
})

test('a DNS server the operator names is asked for what is dialled, and for nothing else', async () => {
  const server = await dnsServer((asked) => [
    answering(asked, asked.type === 'A' ? [{ type: 'A', name: asked.name, data: '127.0.0.1', ttl: 0 }] : []),
  ])
  const program = findProgram('curl')
  if (program === null) throw new Error('curl is not installed')
  const urls = ['forbidden.test', 'served.test'].map((name) => `http://${name}:${world.web}/`)
  const connect = [`dns:served.test:${world.web}`, `dns:never.test:${world.web}`, `ip:127.0.0.1:${world.web}`]
  const { out } = await run(program, connect, ['-s', '--max-time', '60', ...urls], ['--resolver', `127.0.0.1:${server.port}`])
  server.close()
  expect(out).toBe('hello served.test')
  expect(server.asked.map(({ name, type }) => `${name} ${type}`).sort()).toEqual(['served.test A', 'served.test AAAA'])
})

test('fetch in Bun', async () => {
  const agent = join(folder, 'fetch.ts')
  writeFileSync(agent, readFileSync(join(GUEST, 'fetch.ts')))
  const urls = [`http://web.test:${world.web}/`, 'http://web.test:81/', 'http://other.test/']
  const { out } = await run(agent, [`dns:web.test:${world.web}`], urls)
  const lines = out.trim().split('\n')
  expect(lines[0]).toBe(`${urls[0]} hello web.test`)
  expect(lines[1]).toMatch(/failed (?:ECONNREFUSED|ConnectionRefused)$/)
  expect(lines[2]).toMatch(/failed /)
})

test('a published port leads to the agent’s own server, and to nothing the policy does not name', async () => {
  const port = await freePort()
  const agent = join(folder, 'serve.py')
  copyFileSync(join(GUEST, 'serve.py'), agent)
  const listen = join(folder, 'listen.json')
  writeFileSync(
    listen,
    JSON.stringify({ version: '1.0', profiles: ['python'], fs: { read: ['/**'] }, net: { listen: [`ip:127.0.0.1:${port}`] } }),
  )
  const line = (host: number): string[] => ['run', agent, '--policy', listen, '-p', `${host}:8000`, '--accel', 'tcg']
  const env = { PATH: process.env.PATH ?? '', HOME: folder, AUTHORITY_HOME: home }
  const child = spawn(join(ROOT, 'dist/authority'), line(port), { env, stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  await new Promise((resolve) => child.stdout.once('data', resolve))
  const answers = await Promise.all([1, 2, 3, 4].map(async (n) => (await fetch(`http://127.0.0.1:${port}/${n}`)).text()))
  expect(answers).toEqual([1, 2, 3, 4].map((n) => `guest says /${n}`))
  expect(await (await fetch(`http://127.0.0.1:${port}/stop`)).text()).toBe('guest says /stop')
  expect(await ended).toBe(0)
  const other = await runProgram([join(ROOT, 'dist/authority'), ...line(port === 65535 ? 65534 : port + 1)], { env, deadlineMs: 60_000 })
  expect(other.code).not.toBe(0)
  expect(other.stderr).toContain('the policy does not let the agent be reached at')
})

test('a client of the SDK listens on a published port, and is told who came', async () => {
  const port = await freePort()
  const agent = join(folder, 'listen.py')
  copyFileSync(join(GUEST, 'listen.py'), agent)
  const policy = join(folder, 'sdk-listen.json')
  writeFileSync(
    policy,
    JSON.stringify({ version: '1.0', profiles: ['python'], fs: { read: ['/**'] }, net: { listen: [`ip:127.0.0.1:${port}`] } }),
  )
  const env = { PATH: process.env.PATH ?? '', HOME: folder, AUTHORITY_HOME: home }
  const line = ['run', agent, '--policy', policy, '-p', `${port}:8000`, '--accel', 'tcg']
  const child = spawn(join(ROOT, 'dist/authority'), line, { env, stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [first] = await once(createInterface({ input: child.stdout }), 'line')
  expect(first).toBe(`127.0.0.1:${port}`)
  for (const word of ['one', 'two', 'stop']) {
    const { said, from } = await visit(port, word)
    expect(said).toBe(`${from} said ${word}`)
  }
  expect(await ended).toBe(0)
})

/** Says one word and hears everything, half-closed. */
function visit(port: number, word: string): Promise<{ said: string; from: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let said = ''
    let from = ''
    socket.on('connect', () => {
      from = `127.0.0.1:${socket.localPort}`
      socket.end(word)
    })
    socket.on('data', (data) => {
      said += data
    })
    socket.on('error', reject)
    socket.on('close', () => resolve({ said, from }))
  })
}
