/** net.fetch of both SDKs at full strength, in VMs, against an HTTPS server of the tests whose own log is the witness. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answering, askedOf, type DnsAsked } from '../../kernel/effects/net/testing/dns-server.ts'
import { runProgram } from '../process/run-program.ts'
import { newAuthority } from './network-guest/certificates.ts'
import { listen } from './network-guest/world.ts'
import { freshFolder, freshHome, removeFolder } from './vm-support.ts'

const ROOT = join(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist/authority')
const AGENTS = join(ROOT, 'fixtures/agents')
const EIGHT_MIB = createHash('sha256')
for (let i = 0; i < 64; i++) EIGHT_MIB.update(new Uint8Array(128 * 1024).fill(i))
const DIGEST = EIGHT_MIB.digest('hex')
const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex')

const folder = freshFolder('fetch-')
const home = freshHome(folder).path
/** `METHOD PATH framing end|aborted` of every request, when it ended. */
const log: string[] = []
/** What the DNS server was asked. */
const asked: DnsAsked[] = []
const servers: ReturnType<typeof createServer>[] = []
let port = 0
let dns = 0

const upstream: RequestListener = (request, response) => {
  const path = request.url ?? ''
  const framing = request.headers['transfer-encoding'] ?? request.headers['content-length'] ?? 'none'
  const ended = (how: string) => (): void => void log.push(`${request.method} ${path} ${framing} ${how}`)
  request.on('end', ended('end')).on('aborted', ended('aborted'))
  response.on('error', () => undefined)
  const hash = createHash('sha256')
  let bytes = 0
  request.on('data', (data: Buffer) => {
    hash.update(data)
    bytes += data.length
    if (path === '/upper') response.write(data.toString().toUpperCase())
    if (path === '/dies') response.write('heard')
  })
  if (path === '/refuse') response.writeHead(413).end('no')
  request.on('end', () => {
    const hops = /^\/hop\/(\d)$/.exec(path)?.[1]
    if (path === '/again') response.writeHead(307, { location: '/length' }).end()
    else if (hops !== undefined && hops !== '0') response.writeHead(302, { location: `/hop/${Number(hops) - 1}` }).end()
    else if (path === '/digest') response.end(hash.digest('hex'))
    else if (path !== '/refuse') response.end(path === '/upper' ? '' : `${bytes}`)
  })
}

const resolver: RequestListener = (request, response) => {
  const parts: Buffer[] = []
  request.on('data', (part: Buffer) => parts.push(part))
  request.on('end', () => {
    const question = askedOf(Buffer.concat(parts), 'https')
    asked.push(question)
    const { name } = question
    response.writeHead(200, { 'content-type': 'application/dns-message' })
    response.end(answering(question, question.type === 'A' ? [{ type: 'A', name, data: '127.0.0.1' }] : []))
  })
}

beforeAll(async () => {
  const authority = newAuthority(folder, 'authority')
  writeFileSync(join(folder, 'ca.pem'), authority.pem)
  for (const [name, answer] of [
    ['up.test', upstream],
    ['dns.test', resolver],
  ] as const) {
    const server = createServer(authority.issue(name), answer)
    server.on('tlsClientError', () => undefined)
    servers.push(server)
  }
  const [up, doh] = servers
  if (up === undefined || doh === undefined) throw new Error('no servers')
  port = await listen(up, 0, '127.0.0.1')
  dns = await listen(doh, 0, '127.0.0.1')
})

afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections()
    server.close()
  }
  removeFolder(folder)
})

function policy(): string {
  const file = join(folder, 'policy.json')
  const connect = [`dns:up.test:${port}`, `ip:127.0.0.1:${port}`]
  writeFileSync(file, JSON.stringify({ version: '1.0', profiles: ['python'], fs: { read: ['/**'] }, net: { connect } }))
  return file
}

const env = { PATH: process.env.PATH ?? '', HOME: folder, AUTHORITY_HOME: home }

async function run(
  program: 'uploads-typescript/main.ts' | 'uploads-python/main.py',
  flags: readonly string[],
): Promise<{ lines: string[]; err: string }> {
  const line = [BINARY, 'run', join(AGENTS, program), '--policy', policy(), ...flags, '--accel', 'tcg', '--', `https://up.test:${port}`]
  const { code, stdout, stderr } = await runProgram(line, { env, deadlineMs: 150_000 })
  if (code !== 0) throw new Error(`${code}: ${Buffer.from(stdout)}${stderr}`)
  return { lines: Buffer.from(stdout).toString().trim().split('\n'), err: stderr }
}

/** CLOSE records of the last run. */
function closes(): readonly { readonly request_body?: string; readonly bytes_out?: number; readonly sha256_out?: string }[] {
  const { stdout, status, stderr } = spawnSync(BINARY, ['audit', 'show', 'last', '--json'], { env, encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .filter(({ type }) => type === 'CLOSE')
    .map(({ detail }) => detail)
}

describe('a TypeScript agent', () => {
  let lines: string[] = []
  let err = ''
  beforeAll(async () => {
    const ca = ['--ca', join(folder, 'ca.pem'), '--resolver', `https://dns.test:${dns}/dns-query=127.0.0.1`]
    ;({ lines, err } = await run('uploads-typescript/main.ts', ca))
  }, 160_000)
  const ended = (start: string): string[] => log.filter((line) => line.startsWith(start))

  test('streams bodies of unknown and of known length, over TLS, and both ways at once', () => {
    expect(lines).toEqual(
      expect.arrayContaining([`in chunks: ${DIGEST}`, `of known length: ${digestOf('known')}`, 'side by side: PINGAFTER PING']),
    )
    expect(ended('POST /digest')).toEqual(['POST /digest chunked end', 'POST /digest 5 end'])
  })

  test('hears a server that answers before the body ends, and stops', () => {
    expect(lines).toContain('an answer that comes first: 413')
    expect(ended('POST /refuse')).not.toContain('POST /refuse chunked end')
  })

  test('sends no streamed body twice, and a whole one where it is asked for', () => {
    expect(lines).toEqual(expect.arrayContaining(['a redirect that wants it again: E_UPSTREAM', 'a whole one goes along: 5']))
    expect(ended('POST /length')).toEqual(['POST /length 5 end'])
  })

  test('sends nothing where nothing was allowed', () => {
    expect(lines).toContain('where nobody allowed it: E_POLICY_DENY')
    expect(asked.map(({ name }) => name)).not.toContain('other.test')
  })

  test('that dies in the middle leaves a request that broke off, for the server and on record', async () => {
    await expect.poll(() => ended('POST /dies')).toEqual(['POST /dies chunked aborted'])
    const records = closes()
    expect(records).toContainEqual(expect.objectContaining({ request_body: 'broken off', bytes_out: 5, sha256_out: digestOf('begun') }))
    expect(records).toContainEqual(expect.objectContaining({ request_body: 'whole', bytes_out: 8 << 20, sha256_out: DIGEST }))
    expect(spawnSync(BINARY, ['audit', 'verify', 'last'], { env }).status).toBe(0)
  })

  test('goes by the addresses of the operator’s DNS over HTTPS, believed by the operator’s authority', () => {
    expect(new Set(asked.map(({ name, type }) => `${name} ${type}`))).toEqual(new Set(['up.test A', 'up.test AAAA']))
    expect(err).toMatch(/also trusts certificate [0-9a-f]{16}/)
  })
})

describe('a Python agent', () => {
  let lines: string[] = []
  const before = (): number => log.length
  let from = 0
  beforeAll(async () => {
    from = before()
    ;({ lines } = await run('uploads-python/main.py', ['--ca', join(folder, 'ca.pem'), '--host', 'up.test=127.0.0.1']))
  }, 160_000)

  test('streams generators, async generators and files', () => {
    const size = readFileSync(join(AGENTS, 'uploads-python/main.py')).length
    expect(lines.slice(0, 3)).toEqual([`a generator: ${DIGEST}`, `an async generator: ${digestOf('one two')}`, `a file: ${size}`])
    expect(log.slice(from)).toContain(`PUT /length ${size} end`)
  })

  test('pays for each redirect: one that it cannot is never dialled', () => {
    expect(lines.slice(3)).toEqual(['a redirect too many: E_BUDGET_EXCEEDED', 'others go on: 0'])
    const hops = log.slice(from).filter((line) => line.includes('/hop/'))
    expect(hops.map((line) => line.split(' ')[1])).toEqual(['/hop/5', '/hop/4', '/hop/3', '/hop/2', '/hop/1', '/hop/0'])
  })
})

test('a server whose authority the operator did not name is not believed, and is asked nothing', async () => {
  const asks = `import authority, sys
try:
    print(authority.connect().net.fetch(sys.argv[1]).status)
except authority.AuthorityError as error:
    print(error.code)`
  const python = { ...env, PYTHONPATH: join(ROOT, 'sdks/python/src') }
  const asking = async (flags: readonly string[]): Promise<string> => {
    const line = [BINARY, 'gate', 'serve', '--policy', policy(), '--host', 'up.test=127.0.0.1', ...flags, '--']
    const { stdout } = await runProgram([...line, 'python3', '-c', asks, `https://up.test:${port}/asked`], {
      env: python,
      deadlineMs: 60_000,
    })
    return Buffer.from(stdout).toString().trim()
  }
  expect(await asking([])).toBe('E_UPSTREAM')
  expect(log.filter((line) => line.includes('/asked'))).toEqual([])
  expect(await asking(['--ca', join(folder, 'ca.pem')])).toBe('200')
})
