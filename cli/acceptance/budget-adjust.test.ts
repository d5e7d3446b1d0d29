import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

/** What an effect was charged beyond what it used is taken back by a record of its own, through the compiled binary; the log it stands in never changes. */
const ROOT = resolve(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist', 'authority')
const MIB = 1 << 20

/** Reads 5 bytes of a file and kills the gate while it is open: what was reserved of it counts in full. */
const AGENT = `
import authority, json, os, subprocess, time
gate = authority.connect()
file = gate.fs.open("/in/a")
assert file.read(5) == b"12345"
pid = json.loads(subprocess.check_output([${JSON.stringify(BINARY)}, "runs", "show", "last", "--json"]))["gate"]["pid"]
os.kill(pid, 9)
`
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'authority-adjust-'))
  mkdirSync(join(folder, 'in'))
  writeFileSync(join(folder, 'in', 'a'), '12345')
  writeFileSync(join(folder, 'agent.py'), AGENT)
  writeFileSync(join(folder, 'p.json'), JSON.stringify({ version: '1.0', fs: { read: ['/in/**'] } }))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function authority(...args: readonly string[]) {
  const env = {
    PATH: process.env.PATH ?? '',
    HOME: folder,
    AUTHORITY_HOME: join(folder, 'home'),
    PYTHONPATH: join(ROOT, 'sdks', 'python', 'src'),
    PYTHONDONTWRITEBYTECODE: '1',
  }
  const child = Bun.spawn([BINARY, ...args], { cwd: folder, env, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  const [out, lines] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { out, lines, code: await child.exited }
}

const json = async (...args: readonly string[]) => JSON.parse((await authority(...args, '--json')).out)
const killedRun = () => authority('gate', 'serve', '--policy', 'p.json', '-v', `${folder}/in:/in:ro`, '--', 'python3', 'agent.py')
const counted = async (): Promise<{ readonly [key: string]: number }> => (await json('budget', 'limit')).counted
const bytesOfRun = async (): Promise<number> =>
  (await json('budget', 'show', 'last')).rows.find(
    (row: { account: string; dimension: string }) => row.account === 'run' && row.dimension === 'bytes',
  ).captured

/** Every byte of the run's log. */
function logOf(run: string): string {
  const path = join(folder, 'home', 'runs', run, 'audit')
  const files = readdirSync(path).filter((name) => name.startsWith('seg-') || name === 'checkpoints')
  return files.map((name) => readFileSync(join(path, name)).toString('hex')).join('\n')
}

test('a lease that was open when the gate died is charged in full, until an operator says what it used; then all runs have the rest', async () => {
  await authority('budget', 'limit', '--budget', 'bytes=1MiB')
  await killedRun()
  const { run, effects } = await json('budget', 'adjust', 'last')
  expect(effects).toMatchObject([{ op: 'fs.open', object: expect.stringContaining('/in/a'), why: 'lease' }])
  const [{ intent, charged }] = effects
  expect(charged.bytes).toBeGreaterThan(5)
  const log = logOf(run)
  const reason = ['--reason', 'it read five bytes']
  const done = await json('budget', 'adjust', 'last', String(intent), '--actual', 'bytes=5', '--actual', 'bytes_in=5', ...reason)
  expect(done).toMatchObject({ intent, lowered: { bytes: charged.bytes - 5 }, shared: { bytes: charged.bytes - 5 } })
  expect(await counted()).toEqual({ bytes: 5 })
  expect(await bytesOfRun()).toBe(5)
  expect(logOf(run)).toBe(log)
  const shown = (await authority('budget', 'show', 'last')).out
  expect(shown).toMatch(
    new RegExp(`^adjusted: effect ${intent} is charged less by bytes [^,]+, bytes in [^,]+, by uid \\d+: it read five bytes$`, 'm'),
  )
  const verdict = await json('audit', 'verify', 'last')
  expect(verdict).toMatchObject({ status: 'recovered', exitCode: 2 })
  expect(verdict.proved.join('\n')).toContain('each of 1 adjustments takes back only what was charged without being known to be used')
  expect((await authority('audit', 'verify', join(folder, 'home', 'installation'))).code).toBe(0)
})

test('never twice, never more than was charged, never of what is known, never without a reason, never of a run that goes on', async () => {
  await authority('budget', 'limit', '--budget', 'bytes=1MiB')
  await killedRun()
  const { effects } = await json('budget', 'adjust', 'last')
  const intent = String(effects[0].intent)
  const refused = async (words: readonly string[], why: string): Promise<void> => {
    const { lines, code } = await authority('budget', 'adjust', 'last', ...words)
    expect({ lines, code }).toEqual({ lines: expect.stringContaining(why), code: 64 })
  }
  const reason = ['--reason', 'x']
  await refused([intent, '--actual', 'bytes=5'], 'has a reason')
  await refused([intent, ...reason], 'what the effect really used is not said')
  await refused([intent, '--actual', 'bytes=2MiB', ...reason], 'only ever lowers what is charged')
  await refused([intent, '--actual', 'calls=0', ...reason], 'only ever lowers what is charged: of calls it is charged 0')
  await refused([intent, '--actual', 'fs.bytes=5', ...reason], 'adjusted as a whole')
  await refused(['0', '--actual', 'bytes=5', ...reason], 'effect 0 of run')
  await refused(['x', '--actual', 'bytes=5', ...reason], '`x` is not the number of an effect')
  await refused(['--actual', 'bytes=5', ...reason], 'no effect is named')
  expect((await counted()).bytes).toBe(effects[0].charged.bytes)
  expect((await authority('budget', 'adjust', 'last', intent, '--actual', 'bytes=5', ...reason)).code).toBe(0)
  await refused([intent, '--actual', 'bytes=5', ...reason], 'of bytes it is charged 5 B')
  expect(await counted()).toEqual({ bytes: 5 })
  const inside = [BINARY, 'budget', 'adjust', 'last']
  const living = await authority('gate', 'serve', '--policy', 'p.json', '--', ...inside)
  expect(living.lines).toContain('is still going')
})

test('what was taken back is free for the next run, and no more than that', async () => {
  await authority('budget', 'limit', '--budget', `bytes=${MIB}`)
  await killedRun()
  const { effects } = await json('budget', 'adjust', 'last')
  const held: number = effects[0].charged.bytes
  await authority('budget', 'limit', '--budget', `bytes=${held}`)
  const reads = ['--', 'python3', '-c', 'import authority; print(authority.connect().fs.read_file("/in/a"))']
  const next = () => authority('gate', 'serve', '--policy', 'p.json', '-v', `${folder}/in:/in:ro`, ...reads)
  const before = await next()
  expect(before.lines).toContain('the bytes budget of all runs together has no room')
  const run: string = (await json('runs', 'ls'))[1].id
  const words = [run, String(effects[0].intent), '--actual', `bytes=${held - 5}`, '--reason', 'x']
  expect((await authority('budget', 'adjust', ...words)).code).toBe(0)
  expect((await next()).out).toContain('12345')
  expect((await next()).lines).toContain('the bytes budget of all runs together has no room')
  expect(await counted()).toEqual({ bytes: held })
})

test('a log that was changed is adjusted by nobody', async () => {
  await killedRun()
  const { run, effects } = await json('budget', 'adjust', 'last')
  const segment = join(folder, 'home', 'runs', run, 'audit', 'seg-00000000.log')
  chmodSync(segment, 0o600)
  const bytes = readFileSync(segment)
  bytes[5000] = (bytes[5000] ?? 0) ^ 1
  writeFileSync(segment, bytes)
  const words = [String(effects[0].intent), '--actual', 'bytes=5', '--reason', 'x']
  const { lines, code } = await authority('budget', 'adjust', run, ...words)
  expect({ lines, code }).toEqual({ lines: expect.stringContaining('was tampered with'), code: 1 })
})
