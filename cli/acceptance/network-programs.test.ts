/** Programs that know nothing of Authority, unchanged, in one VM: each reaches what is granted and is refused the rest; a server nobody may reach is the witness. */
import { chmodSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runProgram } from '../process/run-program.ts'
import { makeClientsImage } from './network-guest/clients-image.ts'
import { openProgramsWorld, type ProgramsWorld, STRANGER_ADDRESS, TLS_ADDRESS, TLS_PORT } from './network-guest/programs-world.ts'
import { npmRegistry, pipIndex, type Registry } from './network-guest/registries.ts'
import { freePort } from './network-guest/world.ts'
import { buildBinary } from './programs-guest/differential-run.ts'
import type { NodeFolder } from './programs-guest/tools.ts'
import { freshFolder, freshHome, removeFolder } from './vm-support.ts'

const BINARY = join(import.meta.dirname, '../../dist/authority')
/** What each says of a name that does not exist, a refused connection and an authority it does not know. */
const CLIENTS: readonly (readonly [string, RegExp, RegExp, RegExp])[] = [
  ['curl', /Could not resolve host/, /Failed to connect|Couldn't connect/, /SSL certificate problem/],
  ['wget', /unable to resolve host/, /Connection refused/, /cannot verify|not trusted/],
  ['Go', /no such host/, /connection refused/, /certificate signed by unknown authority/],
  ['Bun', /ENOTFOUND|ConnectionRefused|FailedToOpenSocket/, /ConnectionRefused|ECONNREFUSED/, /UNABLE_TO_|SELF_SIGNED/],
  ['Node fetch', /ENOTFOUND/, /ECONNREFUSED/, /UNABLE_TO_|SELF_SIGNED/],
  ['Node http', /ENOTFOUND/, /ECONNREFUSED/, /UNABLE_TO_|SELF_SIGNED/],
  ['requests', /Failed to resolve|Name or service not known/, /Connection refused/, /CERTIFICATE_VERIFY_FAILED/],
  ['urllib3', /Failed to resolve|Name or service not known/, /Connection refused/, /CERTIFICATE_VERIFY_FAILED/],
  ['httpx', /Name or service not known/, /Connection refused/, /CERTIFICATE_VERIFY_FAILED/],
  [
    'httpx async',
    /Name or service not known|All connection attempts failed/,
    /connection attempts failed|refused/,
    /CERTIFICATE_VERIFY_FAILED/,
  ],
  ['asyncio', /Name or service not known/, /Connect call failed|refused/, /CERTIFICATE_VERIFY_FAILED/],
]

interface Answer {
  readonly out: string
  readonly exit: number
}

let folder = ''
let world: ProgramsWorld
let answers: ReadonlyMap<string, Answer>
let published: readonly string[] = []
let records = ''
let registries: { readonly npm: Registry | null; readonly pip: Registry | null }
const of = (name: string): Answer => answers.get(name) ?? { out: `${name} was never asked`, exit: -1 }

beforeAll(async () => {
  await buildBinary()
  folder = freshFolder('network-programs-')
  chmodSync(folder, 0o755)
  world = await openProgramsWorld(folder)
  registries = { npm: await npmRegistry(), pip: await pipIndex() }
  const run = await runClients(await makeClientsImage(folder, world.authority))
  answers = new Map(
    [...run.matchAll(/^=== (.+)\n([\s\S]*?)=== exit (\d+)$/gm)].map(([, name = '', out = '', exit]) => [name, { out, exit: Number(exit) }]),
  )
}, 600_000)
afterAll(() => {
  world?.close()
  if (folder !== '') removeFolder(folder)
})

async function runClients(node: NodeFolder): Promise<string> {
  const port = await freePort()
  const { web, forbidden, sockets, secureSockets } = world
  const reached = Object.values(registries).filter((each) => each !== null)
  const outside = reached.flatMap(({ hosts }) => hosts)
  const named = [...[web, sockets].map((each) => `web.test:${each}`), ...[TLS_PORT, secureSockets].map((each) => `tls.test:${each}`)]
  const granted = [...named, `stranger.test:${TLS_PORT}`, ...outside.map((each) => `${each.split('=')[0]}:443`)]
  const policy = {
    version: '1.0',
    profiles: ['python'],
    fs: { read: ['/opt/tools/**', `${node.guest}/**`, '/bin/sh', '/usr/bin/sh', '/tmp/**'], write: ['/tmp/**'] },
    net: { connect: granted.map((each) => `dns:${each}`), listen: [`ip:127.0.0.1:${port}`] },
  }
  writeFileSync(join(folder, 'policy.json'), JSON.stringify(policy))
  const hosts = [
    'web.test=127.0.0.1',
    'forbidden.test=127.0.0.1',
    `tls.test=${TLS_ADDRESS}`,
    `stranger.test=${STRANGER_ADDRESS}`,
    ...outside,
  ]
  const variables = {
    WEB_URL: `http://web.test:${web}/`,
    TLS_URL: `https://tls.test:${TLS_PORT}/`,
    NAME_URL: `http://forbidden.test:${forbidden}/`,
    PORT_URL: `http://web.test:${forbidden}/`,
    STRANGER_URL: `https://stranger.test:${TLS_PORT}/`,
    TLS_PORT,
    SOCKETS: sockets,
    SECURE_SOCKETS: secureSockets,
    NPM: node.npm,
    NODE_PATH: node.guest,
    ...(registries.npm === null ? {} : { NPM_REGISTRY: registries.npm.url }),
    ...(registries.pip === null ? {} : { PIP_INDEX: registries.pip.url }),
  }
  const flags = [
    ...hosts.flatMap((each) => ['--host', each]),
    ...Object.entries(variables).flatMap(([name, value]) => ['-e', `${name}=${value}`]),
    ...['-p', `${port}:8000`, '--memory', '768MiB', '--accel', 'tcg'],
  ]
  const line = [
    BINARY,
    'run',
    './program/agent.py',
    '-c',
    'config.json',
    '--policy',
    'policy.json',
    ...flags,
    '--',
    '/opt/tools/scripts/clients.sh',
  ]
  const env = { HOME: folder, AUTHORITY_HOME: freshHome(folder).path }
  let visited: Promise<readonly string[]> | undefined
  const onOutput = (text: string): void => {
    if (text.includes('serving')) visited ??= visit(port)
  }
  const { stdout, stderr } = await runProgram(line, { cwd: folder, env, deadlineMs: 540_000, onOutput })
  if (visited === undefined) throw new Error(`${Buffer.from(stdout)}\n${stderr}`)
  published = await visited
  records = Buffer.from((await runProgram([BINARY, 'audit', 'show', 'last', '--json'], { env })).stdout).toString()
  return Buffer.from(stdout).toString()
}

async function visit(port: number): Promise<readonly string[]> {
  const pages = await Promise.all(['one', 'two', 'three'].map(async (page) => (await fetch(`http://127.0.0.1:${port}/${page}`)).text()))
  return [...pages, await (await fetch(`http://127.0.0.1:${port}/stop`)).text()]
}

describe.each(CLIENTS)('%s', (client, noName, refused, unknownAuthority) => {
  test('reaches a granted name, and over TLS by the authorities of the image', () => {
    expect(of(`${client} http`)).toMatchObject({ out: expect.stringContaining('hello web.test, HTTP 1.1'), exit: 0 })
    expect(of(`${client} https`)).toMatchObject({ out: expect.stringContaining('hello tls.test, HTTP '), exit: 0 })
  })

  test.each([
    ['denied name', noName],
    ['denied port', refused],
    ['stranger', unknownAuthority],
  ])('%s: refused in its own words', (what, words) => {
    expect(of(`${client} ${what}`).out).toMatch(words)
    expect(of(`${client} ${what}`).exit).not.toBe(0)
  })
})

describe('other clients', () => {
  test('HTTP/2: curl and Node', () => {
    expect(of('curl HTTP/2').out).toContain('hello tls.test, HTTP 2.0 over 2')
    expect(of('Node http2 https').out).toContain('hello tls.test, HTTP 2.0')
    expect(of('Node http2 stranger').out).toMatch(/UNABLE_TO_|SELF_SIGNED/)
  })

  test('WebSockets, plain and within TLS', () => {
    expect(of('websockets plain').out).toBe('heard python\n')
    expect(of('websockets TLS').out).toBe('heard python\n')
    expect(of('Bun WebSocket').out).toBe('heard bun\n')
  })

  test('openssl s_client', () => {
    expect(of('openssl s_client').out).toContain('hello tls.test, HTTP 1.1')
    expect(of('openssl s_client stranger').out).toMatch(/verify error/)
    expect(of('openssl s_client stranger').exit).not.toBe(0)
  })

  test('Node’s plain sockets and c-ares', () => {
    expect(of('Node net http').out).toContain('hello web.test')
    expect(of('Node net denied name').out).toBe('ENOTFOUND\n')
    expect(of('Node net denied port').out).toBe('ECONNREFUSED\n')
    expect(of('Node c-ares http').out).toBe('one address\n')
    expect(of('Node c-ares denied name').out).toBe('ENOTFOUND\n')
  })
})

describe('git', () => {
  test('clones, commits and pushes over HTTP and HTTPS', async () => {
    expect(of('git http')).toEqual({ out: 'first\npushed\n', exit: 0 })
    expect(of('git https')).toEqual({ out: 'from the machine over HTTP\nfirst\npushed\n', exit: 0 })
    expect(await world.packages.commits()).toEqual(['from the machine over HTTPS', 'from the machine over HTTP', 'first'])
  })

  test.each([
    ['denied name', /Could not resolve host/],
    ['denied port', /Failed to connect|Couldn't connect/],
    ['stranger', /certificate/],
  ])('%s: refused in its own words', (what, words) => {
    expect(of(`git ${what}`)).toMatchObject({ out: expect.stringMatching(words), exit: 128 })
  })
})

describe.each([
  ['npm', 'installed by npm', /ENOTFOUND/, /ECONNREFUSED/],
  [
    'pip',
    'wheel_of_ours.py',
    /Failed to establish a new connection|No matching distribution/,
    /Failed to establish a new connection|No matching distribution/,
  ],
])('%s', (client, proof, noName, refused) => {
  test.each(['http', 'https'])('installs from a registry over %s', (what) => {
    expect(of(`${client} ${what}`)).toMatchObject({ out: expect.stringContaining(proof), exit: 0 })
  })

  test.each([
    ['denied name', noName],
    ['denied port', refused],
  ])('%s: refused in its own words', (what, words) => {
    expect(of(`${client} ${what}`).out).toMatch(words)
    expect(of(`${client} ${what}`).exit).not.toBe(0)
  })
})

test('npm installs from the registry of this machine', ({ skip }) => {
  if (registries.npm === null) skip('npm’s registry does not answer here')
  expect(of('npm of this machine')).toMatchObject({ out: expect.stringContaining('createColors'), exit: 0 })
})

test('pip installs from the index of this machine', ({ skip }) => {
  if (registries.pip === null) skip('pip’s index does not answer here')
  expect(of('pip of this machine')).toMatchObject({ out: expect.stringContaining('iniconfig'), exit: 0 })
})

test('a Node server inside is reached at its published port', () => {
  expect(published).toEqual(['one', 'two', 'three', 'stop'].map((page) => `guest says /${page}`))
  expect(of('published Node server').exit).toBe(0)
})

test('the forbidden server saw no connection, and would have noticed one', async () => {
  expect(world.forbiddenConnections()).toBe(0)
  await new Promise((resolve) => connect(world.forbidden, '127.0.0.1').once('close', resolve).resume())
  expect(world.forbiddenConnections()).toBe(1)
})

test('the log tells what was allowed and what was denied', () => {
  for (const text of [`dns:web.test:${world.web}`, `dns:tls.test:${TLS_PORT}`, `dns:web.test:${world.forbidden}`, 'forbidden.test'])
    expect(records).toContain(text)
})
