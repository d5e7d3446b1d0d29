/** `policy reload` of an agent in a VM that holds a connection, files, a folder and a port: what the new policy takes away ends at once, and what it gives comes back. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runProgram } from '../process/run-program.ts'
import { freePort } from './network-guest/world.ts'
import { compileStatic, freshFolder, freshHome, removeFolder } from './vm-support.ts'

const ROOT = join(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist/authority')
const BUILD_MS = 170_000
const TEST_MS = 110_000
const SERVED = 8080

let folder: string
let env: Record<string, string>
const at = (name: string): string => join(folder, name)
const server = createServer()
const far: { socket: Socket | null; ended: Promise<void> | null } = { socket: null, ended: null }
let published: number

beforeAll(async () => {
  const built = await runProgram([process.execPath, 'run', join(ROOT, 'cli/build/build.ts')], { deadlineMs: BUILD_MS })
  if (built.code !== 0) throw new Error(built.stderr)
  folder = freshFolder('policy-reload-vm-')
  env = { PATH: process.env['PATH'] ?? '', AUTHORITY_HOME: freshHome(folder).path }
  mkdirSync(at('work'))
  writeFileSync(at('work/read'), 'r')
  await compileStatic(join(import.meta.dirname, 'policy-agent/holds.c'), at('holds'))
  published = await freePort()
  server.on('connection', (socket) => {
    socket.on('error', () => undefined).resume()
    far.socket ??= socket
    far.ended ??= new Promise((resolve) => socket.on('close', () => resolve()))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const save = (name: string, document: object): void =>
    writeFileSync(at(name), JSON.stringify({ version: '1.0', profiles: ['tier1-musl'], ...document }))
  save('all.json', {
    fs: { read: ['/work/**'], write: ['/work/**'] },
    net: { connect: [`dns:far.test:${port}`], listen: [`ip:127.0.0.1:${published}`] },
    budgets: { calls: 1000 },
  })
  save('none.json', { budgets: { calls: 500 } })
  writeFileSync(at('broken.json'), '{"version":"1.0","fs":{"raed":[]}}')
}, BUILD_MS)
afterAll(() => {
  server.close()
  far.socket?.destroy()
  removeFolder(folder)
})

const authority = async (...args: readonly string[]): Promise<{ code: number; text: string }> => {
  const { code, stdout, stderr } = await runProgram([BINARY, ...args], { env, cwd: folder, deadlineMs: TEST_MS })
  return { code, text: `${Buffer.from(stdout).toString()}${stderr}` }
}

/** What a client of the published port hears, or the error it gets. */
const visit = (): Promise<string> =>
  new Promise((resolve) => {
    const client = connect(published, '127.0.0.1')
    let heard = ''
    client.on('data', (data) => {
      heard += data.toString()
    })
    client.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
    client.on('close', () => resolve(heard))
  })

class Agent {
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
  #out = ''
  #err = ''
  #from = 0
  #look = (): void => undefined

  constructor(args: readonly string[]) {
    this.child = spawn(BINARY, args, { env, cwd: folder, stdio: ['pipe', 'pipe', 'pipe'] })
    this.child.stdout?.on('data', (data: Buffer) => {
      this.#out += data.toString()
      this.#look()
    })
    this.child.stderr?.on('data', (data: Buffer) => {
      this.#err += data.toString()
    })
    this.ended = new Promise((resolve) => this.child.on('close', resolve))
  }

  /** The lines up to this one since the last time. */
  async until(line: string): Promise<string[]> {
    await new Promise<void>((resolve, reject) => {
      this.#look = () => {
        if (this.#out.indexOf(`${line}\n`, this.#from) >= 0) resolve()
      }
      this.#look()
      void this.ended.then(() => reject(new Error(`it ended without \`${line}\`: ${this.#out}${this.#err}`)))
    })
    const end = this.#out.indexOf(`${line}\n`, this.#from) + line.length + 1
    const lines = this.#out.slice(this.#from, end).split('\n').slice(0, -2)
    this.#from = end
    return lines
  }

  ask(): Promise<string[]> {
    this.child.stdin?.write('\n')
    return this.until('asked')
  }
}

test('an agent in a VM: taken away at once, refused since, given back by the next; a broken file changes nothing', {
  timeout: TEST_MS,
}, async () => {
  const { port } = server.address() as AddressInfo
  const agent = new Agent([
    'run',
    at('holds'),
    '-v',
    `${at('work')}:/work`,
    '-p',
    `${published}:${SERVED}`,
    '--policy',
    at('all.json'),
    '--host',
    'far.test=127.0.0.1',
    '--accel',
    'tcg',
    '--',
    'far.test',
    String(port),
    String(SERVED),
  ])
  expect(await agent.until('holding')).toEqual(['connect ok', 'open for writing ok', 'open for reading ok', 'open a folder ok', 'write ok'])
  expect(await visit()).toBe('hello')

  const broken = await authority('policy', 'reload', 'last', 'broken.json')
  expect(broken).toEqual({ code: 64, text: expect.stringContaining('broken.json:1:24: /fs/raed: unknown key `raed`') })
  expect(await visit()).toBe('hello')

  // Nobody moves a byte: the far end and the agent's own recv(2) learn of it.
  const reloaded = await authority('policy', 'reload', 'last', 'none.json')
  expect(reloaded).toEqual({ code: 0, text: expect.stringContaining(`no longer published: ip:127.0.0.1:${published}`) })
  expect(reloaded.text).toContain('budget calls: now 500')
  // It was over, and on record, before the command answered: the connection and both files.
  const { stdout } = await runProgram([BINARY, 'audit', 'show', 'last', '--json'], { env })
  const records = Buffer.from(stdout).toString().trim().split('\n')
  const closed = records.filter((line) => line.includes('"CLOSE"') && line.includes('E_POLICY_DENY'))
  expect(closed).toHaveLength(3)
  await far.ended
  expect(await agent.until('received ECONNRESET')).toEqual([])
  expect(await visit()).toBe('ECONNREFUSED')
  expect(await agent.ask()).toEqual([
    'write EACCES',
    'fsync EACCES',
    'read EACCES',
    'send EPIPE',
    'open for writing EACCES',
    'open for reading EACCES',
    'stat EACCES',
    'list EACCES',
    'connect EHOSTUNREACH',
  ])
  expect(readFileSync(at('work/written'), 'utf8')).toBe('x')

  const back = await authority('policy', 'reload', 'last', 'all.json')
  expect(back).toEqual({ code: 0, text: expect.stringContaining(`published again: ip:127.0.0.1:${published}`) })
  expect(back.text).toContain('budget calls: stays 500')
  expect(await visit()).toBe('hello')
  // What was closed stays closed; what is opened anew is open.
  expect(await agent.ask()).toEqual([
    'write EACCES',
    'fsync EACCES',
    'read EACCES',
    'send EPIPE',
    'open for writing ok',
    'open for reading ok',
    'stat ok',
    'list ok',
    'connect ok',
  ])
  agent.child.stdin?.end()
  expect(await agent.ended).toBe(0)
  expect((await authority('audit', 'verify', 'last')).code).toBe(0)
  const shown = await authority('audit', 'show', 'last')
  expect(shown.text.match(/ POLICY /g)).toHaveLength(2)
})
