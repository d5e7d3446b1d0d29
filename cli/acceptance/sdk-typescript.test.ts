/** fixtures/sdk/conformance.json through the TypeScript SDK against the real gate, and the npm package from an empty folder under Node. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { AuthorityError, type Client, connect } from '@authority/sdk'
import { buildPackage } from '@authority/sdk/build'
import { type Json, play, revive, type Step } from '@authority/sdk/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from './network-guest/world.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist/authority')
const START_DEADLINE_MS = 60_000

interface Check extends Step {
  readonly name: string
  readonly result?: Json
  readonly length?: number
  readonly sorted?: true
  readonly error?: string
  readonly errno?: string
  readonly denial?: { readonly [key: string]: Json }
}
interface Conformance {
  readonly policy: Json
  readonly tree: { readonly [path: string]: Json }
  readonly steps: readonly Check[]
}

const spec = JSON.parse(readFileSync(join(ROOT, 'fixtures/sdk/conformance.json'), 'utf8')) as Conformance
const folder = mkdtempSync(join(tmpdir(), 'authority-sdk-'))
const socket = join(folder, 'gate.sock')
const policy = join(folder, 'policy.json')
const env = { PATH: process.env.PATH ?? '', AUTHORITY_HOME: join(folder, 'home') }
const ports: Record<string, number> = {}
const web = createServer(service)
const echo = createTcpServer({ allowHalfOpen: true }, (client) => void client.on('error', () => undefined).pipe(client))
let gate: ChildProcess | undefined
let client: Client

beforeAll(async () => {
  if (!existsSync(BINARY)) throw new Error('npm run build first: these tests run the compiled binary')
  ports.$HTTP = await listen(web)
  ports.$ECHO = await listen(echo as unknown as Server)
  ports.$LISTEN = await freePort()
  for (const [path, content] of Object.entries(spec.tree)) {
    mkdirSync(dirname(join(folder, 'tree', path)), { recursive: true })
    writeFileSync(join(folder, 'tree', path), revive(content, new Map()) as string | Uint8Array)
  }
  writeFileSync(policy, JSON.stringify(withPorts(spec.policy)))
  gate = await startGate()
  client = await connect({ socket, token: null })
}, START_DEADLINE_MS)

afterAll(async () => {
  await client?.close()
  if (gate !== undefined && gate.exitCode === null) {
    gate.kill('SIGTERM')
    await new Promise((resolve) => gate?.once('exit', resolve))
  }
  web.closeAllConnections()
  web.close()
  echo.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('the SDK against a real gate', () => {
  const stored = new Map<string, unknown>()

  test.each(spec.steps.map((step) => [step.name, step] as const))('%s', async (_, raw) => {
    stored.set('client', client)
    const step = withPorts(raw as unknown as Json) as unknown as Check
    if (step.error !== undefined) return expectError(await failureOf(play(step, stored)), step)
    const value = await play(step, stored)
    if (step.length !== undefined) expect((value as Uint8Array).length).toBe(step.length)
    if (step.sorted) (value as { name: string }[]).sort((a, b) => (a.name < b.name ? -1 : 1))
    if (step.result !== undefined) expectContains(value, revive(step.result, stored))
  })

  test('a token file restricts the whole session', async () => {
    const token = await client.attenuate({ fs: { read: ['/workspace/in/sub/**'] }, closed: true })
    await using narrow = await connect({ socket, token })
    expect(await narrow.fs.readText('/workspace/in/sub/one.txt')).toBe('1')
    await expect(narrow.fs.readText('/workspace/in/hello.txt')).rejects.toMatchObject({ code: 'E_CAP_SCOPE' })
  })

  test('one line narrows for as long as an `await using` lasts', async () => {
    const token = await client.attenuate({ fs: { read: ['/workspace/in/sub/**'] }, ttl: '5m', uses: 3, budget: { calls: 2 } })
    const one = '/workspace/in/sub/one.txt'
    let left: typeof client
    {
      await using narrow = await client.bind(token)
      left = narrow
      expect(await narrow.fs.readText(one)).toBe('1')
      await expect(narrow.fs.readText('/workspace/in/hello.txt')).rejects.toMatchObject({ code: 'E_CAP_SCOPE' })
      const rows = await narrow.budget.status()
      const ours = rows.filter(({ account, limit }) => account.startsWith('block:') && limit !== null)
      expect(ours).toMatchObject([{ dimension: 'calls', limit: 2, captured: 1 }])
      const account = ours[0]?.account ?? ''
      const now = { timeMs: expect.any(Number), captured: 1 }
      expect((await narrow.budget.history(account)).filter(({ dimension }) => dimension === 'calls')).toEqual([
        { account, dimension: 'calls', points: [now] },
      ])
      await expect(client.budget.history(account)).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
      const all = (await client.budget.history()).find(({ dimension }) => dimension === 'calls')
      const status = (await client.budget.status()).find((row) => row.account === 'run' && row.dimension === 'calls')
      expect(all?.points.at(-1)?.captured).toBe(status?.captured)
      expect(Math.abs(Date.now() - (all?.points.at(-1)?.timeMs ?? 0))).toBeLessThan(3_600_000)
      await narrow.fs.readText(one)
      await expect(narrow.fs.readText(one)).rejects.toMatchObject({ code: 'E_BUDGET_EXCEEDED' })
      await expect(narrow.fs.readText(one)).rejects.toMatchObject({ code: 'E_CAP_RATE' })
    }
    await expect(left.fs.readText(one)).rejects.toThrow()
    expect(await client.fs.readText('/workspace/in/hello.txt')).toBe('hello\n')
  })

  test('half, 80 and 95 % of a budget are told to whoever iterates over them, as they are passed', async () => {
    const one = '/workspace/in/sub/one.txt'
    await using narrow = await client.bind(await client.attenuate({ budget: { calls: 4 } }))
    const marks = narrow.budget.marks()
    const next = marks.next()
    await narrow.fs.readText(one)
    await narrow.fs.readText(one)
    const { value: half } = await next
    expect(half).toEqual({ account: expect.stringMatching(/^block:/), dimension: 'calls', percent: 50, captured: 2, limit: 4 })
    await narrow.fs.readText(one)
    await narrow.fs.readText(one)
    expect((await marks.next()).value).toMatchObject({ percent: 80, captured: 4 })
    expect((await marks.next()).value).toMatchObject({ percent: 95, captured: 4 })
    const told: number[] = []
    for await (const { account, percent } of narrow.budget.marks()) {
      if (account === half.account) told.push(percent)
      if (percent === 95) break
    }
    expect(told).toEqual([50, 80, 95])
    await expect(client.budget.marks({ timeoutMs: 1 }).next()).rejects.toMatchObject({ code: 'E_TIMEOUT' })
    const stop = new AbortController()
    const waiting = client.budget.marks({ signal: stop.signal }).next()
    stop.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'E_CANCELLED' })
    await expect(narrow.fs.readText(one)).rejects.toMatchObject({ code: 'E_BUDGET_EXCEEDED' })
  })

  test('a forged token ends the session', async () => {
    await expect(connect({ socket, token: 'cap1_forged' })).rejects.toMatchObject({ code: 'E_CAP_INVALID', name: 'CapabilityError' })
  })

  test('two hundred calls at once', async () => {
    const answers = await Promise.all(Array.from({ length: 200 }, () => client.fs.readText('/workspace/in/hello.txt')))
    expect(new Set(answers)).toEqual(new Set(['hello\n']))
  })
})

describe('the npm package', () => {
  const project = join(folder, 'project')
  const run = (command: string, args: readonly string[], cwd: string) =>
    spawnSync(command, args, { cwd, env, encoding: 'utf8', timeout: 120_000 })

  beforeAll(async () => {
    await buildPackage(join(folder, 'package'))
    mkdirSync(project)
    writeFileSync(join(project, 'package.json'), '{"private":true,"type":"module"}')
    const packed = run('npm', ['pack', '--offline', '--silent', '--pack-destination', folder], join(folder, 'package'))
    const archive = packed.stdout.trim().split('\n').at(-1) ?? ''
    const installed = run('npm', ['install', '--offline', '--no-audit', '--no-fund', '--silent', join(folder, archive)], project)
    if (installed.status !== 0) throw new Error(`npm install: ${packed.stderr}${installed.stderr}`)
  }, 120_000)

  test('works from an empty folder under Node, and does not keep the program alive', () => {
    writeFileSync(
      join(project, 'agent.js'),
      `import { AuthorityError, connect } from 'authority'
       const gate = await connect()
       process.stdout.write(await gate.fs.readText('/workspace/in/hello.txt'))
       await gate.fs.readText('/workspace/secret/key.txt').catch((error) => process.stdout.write(error instanceof AuthorityError && error.denial ? 'denied' : String(error)))`,
    )
    const served = run(
      BINARY,
      ['gate', 'serve', '--policy', policy, '-v', `${join(folder, 'tree')}:/workspace`, '--', 'node', join(project, 'agent.js')],
      project,
    )
    expect([served.status, served.stdout]).toEqual([0, 'hello\ndenied'])
  })

  test('its types hold for a strict program', () => {
    writeFileSync(
      join(project, 'typed.ts'),
      `import { type AuthorityError, attenuate, type ConnectOptions, connect, type Restriction } from 'authority'
       const options: ConnectOptions = { socket: '/x' }
       const restriction: Restriction = { fs: { read: ['/a'] }, ttl: '5m' }
       export async function use(): Promise<string> {
         await using gate = await connect(options)
         const bytes: Uint8Array = await gate.fs.readFile('/a', { maxBytes: 1 })
         const error: AuthorityError | undefined = undefined
         return attenuate(await gate.token(), restriction) + bytes.length + String(error)
       }`,
    )
    const flags = [
      '--noEmit',
      '--strict',
      '--target',
      'ESNext',
      '--lib',
      'ESNext,DOM',
      '--module',
      'nodenext',
      '--types',
      '',
      '--ignoreConfig',
    ]
    const checked = run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), ...flags, 'typed.ts'], project)
    expect(checked.stdout + checked.stderr).toBe('')
  })
})

function service(request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse): void {
  const answer = (status: number, body: string, headers: Record<string, string | string[]> = {}): void => {
    response.writeHead(status, headers).end(body)
  }
  if (request.url === '/again') return answer(307, '', { location: '/length' })
  if (request.method !== 'GET') {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const body = Buffer.concat(parts)
      const length = request.headers['content-length'] ?? body.length
      answer(200, request.url === '/length' ? `${request.method} ${length}: ${body.length}` : `POST ${request.headers['x-mine']} ${body}`)
    })
  } else if (request.url === '/hello') answer(200, 'hello', { 'x-twice': ['a', 'b'] })
  else if (request.url === '/json') answer(200, '{"n":[1,2,3]}')
  else if (request.url === '/big') answer(200, 'x'.repeat(1_000_000))
  else if (request.url === '/redirect') answer(302, '', { location: '/hello' })
  else if (request.url === '/away') answer(302, '', { location: 'http://collector.example/' })
  else if (request.url !== '/slow') answer(404, 'none')
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)))
}

/** Resolves when the gate says that it serves. */
function startGate(): Promise<ChildProcess> {
  const args = ['gate', 'serve', '--policy', policy, '--socket', socket, '-v', `${join(folder, 'tree')}:/workspace`]
  const child = spawn(BINARY, args, { env, stdio: ['ignore', 'ignore', 'pipe'] })
  return new Promise((resolve, reject) => {
    let said = ''
    const timer = setTimeout(() => child.kill('SIGKILL'), START_DEADLINE_MS)
    child.once('exit', () => reject(new Error(`the gate ended: ${said}`)))
    createInterface({ input: child.stderr }).on('line', (line) => {
      said += `${line}\n`
      if (!line.includes('serving at')) return
      clearTimeout(timer)
      child.removeAllListeners('exit')
      resolve(child)
    })
  })
}

/** `$HTTP`, `$ECHO` and `$LISTEN` in texts; alone they are numbers. */
function withPorts(value: Json): Json {
  if (typeof value === 'string') {
    if (ports[value] !== undefined) return ports[value]
    return Object.entries(ports).reduce((text, [name, port]) => text.replaceAll(name, String(port)), value)
  }
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(withPorts)
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withPorts(each as Json)]))
}

async function failureOf(promise: Promise<unknown>): Promise<AuthorityError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof AuthorityError) return error
    throw error
  }
  throw new Error('nothing failed')
}

function expectError(error: AuthorityError, step: Check): void {
  expect(error.code, error.message).toBe(step.error)
  if (step.errno !== undefined) expect(error.errno).toBe(step.errno)
  if (step.denial !== undefined) expect(error.denial).toMatchObject(step.denial)
  if (step.error === 'E_POLICY_DENY' || step.error === 'E_CAP_SCOPE') {
    expect(error.denial?.seq).toBeGreaterThan(0)
    expect(error.message).toContain('do not try another route')
  }
}

/** What is not named is not compared; nothing is null in the fixtures. */
function expectContains(value: unknown, expected: unknown): void {
  if (expected === null) expect(value ?? null).toBeNull()
  else if (expected instanceof Uint8Array || typeof expected !== 'object') expect(value).toEqual(expected)
  else if (Array.isArray(expected)) {
    expect((value as unknown[]).length).toBe(expected.length)
    for (const [i, each] of expected.entries()) expectContains((value as unknown[])[i], each)
  } else for (const [key, each] of Object.entries(expected)) expectContains((value as Record<string, unknown>)[key], each)
}
