import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { GateClient } from './gate-client.ts'
import { waitGone } from './machine-support.ts'

/** Two processes of the compiled binary and one log: while the first lives, and after it was killed. */
const BINARY = join(resolve(import.meta.dirname, '../..'), 'dist', 'authority')
const FLAGS = 1 | 2 | 8
const GATE_END_MS = 10_000
let folder: string
let env: Record<string, string>
let started: Gate[]

/** A kept gate that was started: it serves, or it ended saying why. */
interface Gate {
  readonly supervisor: ChildProcess
  readonly ended: Promise<number | null>
  readonly socket: string | null
  readonly said: () => string
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'authority-second-'))
  mkdirSync(join(folder, 'tree'))
  writeFileSync(join(folder, 'p.json'), JSON.stringify({ version: '1.0', fs: { read: ['/work/**'], write: ['/work/**'] } }))
  env = { PATH: process.env.PATH ?? '', HOME: folder, AUTHORITY_HOME: join(folder, 'home') }
  started = []
})
afterEach(async () => {
  for (const { supervisor, ended } of started) {
    supervisor.kill('SIGTERM')
    await ended
  }
  rmSync(folder, { recursive: true, force: true })
})

async function startKept(): Promise<Gate> {
  const args = ['gate', 'serve', '--policy', join(folder, 'p.json'), '--keep', 'one', '-v', `${join(folder, 'tree')}:/work`]
  const supervisor = spawn(BINARY, args, { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = new Promise<number | null>((done) => supervisor.once('exit', (code) => done(code)))
  let said = ''
  const socket = await new Promise<string | null>((done) => {
    supervisor.stderr?.on('data', (data: Buffer) => {
      said += data.toString()
      const found = /AUTHORITY_SOCKET=(\S+) /.exec(said)?.[1]
      if (found !== undefined) done(found)
    })
    void ended.then(() => done(null))
  })
  const gate = { supervisor, ended, socket, said: () => said }
  started.push(gate)
  return gate
}

async function makeFile(gate: Gate, name: string): Promise<void> {
  const client = await GateClient.connect(gate.socket ?? '')
  const opened = await client.call('fs.open', [`/work/${name}`, FLAGS, 0o600])
  expect(typeof opened).toBe('object')
  expect(typeof (await client.call('fs.close', [Number(opened[0])]))).toBe('object')
  client.close()
}

async function authority(...args: readonly string[]): Promise<{ readonly out: string; readonly code: number }> {
  const child = Bun.spawn([BINARY, ...args], { cwd: folder, env, stderr: 'ignore' })
  const out = await new Response(child.stdout).text()
  return { out, code: await child.exited }
}

const runs = (): string[] => readdirSync(join(folder, 'home', 'runs')).sort()
const fileOf = (run: string, name: string): string => join(folder, 'home', 'runs', run, name)
const recordOf = (run: string): { gate: { pid: number; start_ticks: string }; state: string } =>
  JSON.parse(readFileSync(fileOf(run, 'run.json'), 'utf8'))

test('a second process is refused while the first lives, and the first goes on unharmed', async () => {
  const first = await startKept()
  await makeFile(first, 'before')
  const [run = ''] = runs()
  const second = await startKept()
  expect(second.socket).toBe(null)
  expect(await second.ended).not.toBe(0)
  expect(second.said()).toContain('running already')
  await makeFile(first, 'after')
  first.supervisor.kill('SIGTERM')
  await first.ended
  const shown = (await authority('audit', 'show', run, '--json')).out
  expect(shown).not.toContain('RECOVERED')
  for (const name of ['before', 'after']) expect(shown).toContain(`/work/${name}`)
  expect((await authority('audit', 'verify', run)).code).toBe(0)
})

test('a log whose gate other processes cannot see is still its gate’s: none of them recovers it or takes its sockets', async () => {
  const first = await startKept()
  await makeFile(first, 'before')
  const [run = ''] = runs()
  // As from another container with the same home: the number says nothing there.
  const record = recordOf(run)
  writeFileSync(fileOf(run, 'run.json'), JSON.stringify({ ...record, gate: { ...record.gate, start_ticks: '1' } }))
  await authority('runs', 'show', run)
  await authority('prune')
  expect(recordOf(run).state).toBe('running')
  const second = await startKept()
  expect(second.socket).toBe(null)
  await makeFile(first, 'after')
  first.supervisor.kill('SIGTERM')
  await first.ended
  expect((await authority('audit', 'show', run, '--json')).out).not.toContain('RECOVERED')
  expect((await authority('audit', 'verify', run)).code).toBe(0)
})

test('after SIGKILL of the first, of several that start at once one serves, and the first one’s log is recovered once', async () => {
  const first = await startKept()
  await makeFile(first, 'before')
  const [run = ''] = runs()
  const { pid } = recordOf(run).gate
  process.kill(pid, 'SIGKILL')
  await first.ended
  expect(waitGone(pid, GATE_END_MS)).toBe(true)
  const next = await Promise.all([startKept(), startKept(), startKept()])
  const serving = next.filter(({ socket }) => socket !== null)
  expect(serving).toHaveLength(1)
  for (const gate of next) if (gate.socket === null) expect(await gate.ended).not.toBe(0)
  expect((await authority('audit', 'verify', run)).code).toBe(2)
  const shown = (await authority('audit', 'show', run, '--json')).out
  expect(shown.match(/"type":"RECOVERED"/g)).toHaveLength(1)
  expect(shown).toContain('/work/before')
  const [serves] = serving
  if (serves === undefined) return
  await makeFile(serves, 'after')
  serves.supervisor.kill('SIGTERM')
  await serves.ended
  const own = runs().find(
    (each) =>
      each !== run && readdirSync(fileOf(each, '.')).includes('audit') && each === /runs\/([0-9a-f]{32})/.exec(serves.socket ?? '')?.[1],
  )
  expect((await authority('audit', 'verify', own ?? '')).code).toBe(0)
})
