/** `authority gate serve` under load from several clients, killed at a seeded moment; what is left on disk and in the upstream server's own log is then held against the audit log. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { ensureInstallation, type RecordBody, readRecords, recoverRun, type Verdict, verifyRun } from '@authority/kernel/audit'
import type { OperationName, WireValue } from '@authority/protocol'
import { type Answer, GateClient } from './gate-client.ts'

const ROOT = resolve(import.meta.dirname, '../..')
export const BINARY = join(ROOT, 'dist/authority')
/** READ | WRITE | CREATE of fs.open. */
const FLAGS = 1 | 2 | 8

/** What clients were told: only this may be believed after a crash. */
export interface Told {
  readonly opened: Set<string>
  readonly written: Set<string>
  readonly closed: Set<string>
  readonly fetched: Set<string>
}

export interface GateWorld {
  readonly dir: string
  /** Host folder mounted at /work. */
  readonly tree: string
  readonly home: string
  readonly socket: string
  readonly run: string
  readonly supervisor: ChildProcess
  readonly gatePid: number
  /** Paths of all requests the upstream server saw. */
  readonly upstream: Set<string>
  readonly told: Told
  readonly port: number
  close(): Promise<void>
}

export interface StartOptions {
  /** In front of the binary, e.g. strace. */
  readonly prefix?: readonly string[]
  /** Home folder made before, e.g. on a small disk. */
  readonly home?: string
  /** The gate chooses its socket: in the run's folder. Otherwise it is told one. */
  readonly ownSocket?: boolean
}

/** Starts a gate with one mount and one upstream server. */
export async function startGate(options: StartOptions = {}): Promise<GateWorld> {
  const dir = mkdtempSync(join(tmpdir(), 'gate-'))
  const tree = join(dir, 'tree')
  const home = options.home ?? join(dir, 'home')
  const given = options.ownSocket === true ? [] : ['--socket', join(dir, 'gate.sock')]
  mkdirSync(tree)
  const upstream = new Set<string>()
  const server: Server = createServer((request, response) => {
    upstream.add(request.url ?? '')
    response.end('ok')
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  const policy = join(dir, 'policy.json')
  writeFileSync(
    policy,
    JSON.stringify({ version: '1.0', fs: { read: ['/work/**'], write: ['/work/**'] }, net: { connect: [`dns:up.example:${port}`] } }),
  )
  const args = ['gate', 'serve', '--policy', policy, ...given, '-v', `${tree}:/work`, '--host', 'up.example=127.0.0.1']
  const [program = BINARY, ...front] = [...(options.prefix ?? []), BINARY]
  const supervisor = spawn(program, [...front, ...args], {
    env: { PATH: process.env.PATH ?? '', AUTHORITY_HOME: home },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const gone = new Promise<void>((done) => supervisor.once('exit', () => done()))
  const close = async (): Promise<void> => {
    if (supervisor.exitCode === null && supervisor.signalCode === null) supervisor.kill('SIGTERM')
    await gone
    server.closeAllConnections()
    await new Promise((done) => server.close(done))
    rmSync(dir, { recursive: true, force: true })
  }
  try {
    const socket = await untilServing(supervisor)
    const run = readdirSync(join(home, 'runs'))[0] ?? ''
    const gatePid = gateProcess(join(home, 'runs', run))
    const told = { opened: new Set<string>(), written: new Set<string>(), closed: new Set<string>(), fetched: new Set<string>() }
    return { dir, tree, home, socket, run, supervisor, gatePid, upstream, told, port, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** The socket it serves at. */
export function untilServing(supervisor: ChildProcess): Promise<string> {
  return new Promise((done, failed) => {
    let said = ''
    supervisor.stderr?.on('data', (data: Buffer) => {
      said += data.toString()
      const socket = /AUTHORITY_SOCKET=(\S+) /.exec(said)?.[1]
      if (socket !== undefined) done(socket)
    })
    supervisor.once('exit', () => failed(new Error(`the gate did not start: ${said}`)))
    supervisor.once('error', failed)
  })
}

export function gateProcess(folder: string): number {
  for (const name of readdirSync(folder)) {
    if (!name.endsWith('.json')) continue
    const { gate } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { readonly gate?: { readonly pid: number } }
    if (gate !== undefined) return gate.pid
  }
  throw new Error('no record of the run')
}

/** Opens, writes and closes files and fetches, over and over, until the gate is gone or `enough` says so. `onAnswer` hears of each answer. */
export async function load(world: GateWorld, client: number, onAnswer: (answer: Answer) => void, enough: () => boolean): Promise<void> {
  const gate = await GateClient.connect(world.socket)
  const { told } = world
  const call = async (operation: OperationName, args: readonly WireValue[]): Promise<Answer> => {
    const answer = await gate.call(operation, args)
    onAnswer(answer)
    return answer
  }
  for (let i = 0; !enough(); i++) {
    const name = `c${client}-${i}`
    const fetching = call('net.fetch', ['GET', `http://up.example:${world.port}/${name}`, [], null, 0, 10_000, 0, 0, null])
    const opened = await call('fs.open', [`/work/${name}`, FLAGS, 0o600])
    if (opened === 'gone') break
    if (typeof opened !== 'string') {
      told.opened.add(name)
      const file = Number(opened[0])
      if (typeof (await call('fs.write', [file, 0, Buffer.from(name)])) !== 'string') told.written.add(name)
      if (typeof (await call('fs.close', [file])) !== 'string') told.closed.add(name)
    }
    const fetched = await fetching
    if (typeof fetched === 'string') continue
    told.fetched.add(name)
    gate.endStream(Number(fetched[3]))
  }
  gate.close()
}

/** Recovers the log in this process and answers what stands in it. */
export async function recovered(world: GateWorld): Promise<{ readonly verdict: Verdict; readonly records: readonly RecordBody[] }> {
  const path = join(world.home, 'runs', world.run, 'audit')
  await recoverRun({ path, installation: await ensureInstallation(world.home) })
  const verdict = await verifyRun(path, { installation: join(world.home, 'installation') })
  return { verdict, records: await recordsOf(path) }
}

export async function recordsOf(path: string): Promise<RecordBody[]> {
  const records: RecordBody[] = []
  for await (const record of readRecords(path)) records.push(record)
  return records
}

/** Sentences about promises broken: none is good. */
export function brokenPromises(world: GateWorld, verdict: Verdict, records: readonly (RecordBody & { readonly seq?: number })[]): string[] {
  const broken: string[] = []
  if (verdict.status !== 'recovered' && verdict.status !== 'intact')
    broken.push(`verify says ${verdict.status}: ${verdict.findings[0]?.message}`)
  const intents = new Map<string, number>()
  const outcomes = new Map<number, string>()
  const closes = new Set<number>()
  for (const record of records) {
    if (record.type === 'INTENT') intents.set(`${record.op} ${record.object}`, record.seq ?? -1)
    else if (record.type === 'OUTCOME') outcomes.set(record.intent, record.status)
    else if (record.type === 'CLOSE') closes.add(record.intent)
  }
  const opening = (name: string): number | undefined => intents.get(`fs.open /work/${name}`)
  const fetching = (name: string): number | undefined => intents.get(`net.fetch GET http://up.example:${world.port}/${name}`)
  for (const name of readdirSync(world.tree)) if (opening(name) === undefined) broken.push(`${name} was made and has no INTENT`)
  for (const path of world.upstream) if (fetching(path.slice(1)) === undefined) broken.push(`${path} was fetched and has no INTENT`)
  for (const name of world.told.opened) {
    if (!existsSync(join(world.tree, name))) broken.push(`${name} was acknowledged and is not there`)
    if (outcomes.get(opening(name) ?? -1) !== 'ok') broken.push(`the opening of ${name} was acknowledged and has no OUTCOME`)
  }
  for (const name of world.told.written)
    if (readFileSync(join(world.tree, name), 'utf8') !== name) broken.push(`${name} was acknowledged as written and is not`)
  for (const name of world.told.closed)
    if (!closes.has(opening(name) ?? -1)) broken.push(`the close of ${name} was acknowledged and is not on record`)
  for (const name of world.told.fetched)
    if (outcomes.get(fetching(name) ?? -1) !== 'ok') broken.push(`the fetch of ${name} was acknowledged and has no OUTCOME`)
  return broken
}

export function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
