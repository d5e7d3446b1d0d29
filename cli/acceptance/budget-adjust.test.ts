import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { BINARY, KilledRun } from './killed-run.ts'

/** What an effect was charged beyond what it used is taken back by a record of its own, through the compiled binary; the log it stands in never changes. */
const MIB = 1 << 20

let world: KilledRun

beforeEach(() => {
  world = new KilledRun()
})
afterEach(() => world.close())

test('a lease that was open when the gate died is charged in full, until an operator says what it used; then all runs have the rest', async () => {
  await world.authority('budget', 'limit', '--budget', 'bytes=1MiB')
  await world.kill()
  const { run, effects } = await world.json('budget', 'adjust', 'last')
  expect(effects).toMatchObject([{ op: 'fs.open', object: expect.stringContaining('/in/a'), why: 'lease' }])
  const [{ intent, charged }] = effects
  expect(charged.bytes).toBeGreaterThan(5)
  const log = world.logOf(run)
  const reason = ['--reason', 'it read five bytes']
  const done = await world.json('budget', 'adjust', 'last', String(intent), '--actual', 'bytes=5', '--actual', 'bytes_in=5', ...reason)
  expect(done).toMatchObject({ intent, lowered: { bytes: charged.bytes - 5 }, shared: { bytes: charged.bytes - 5 } })
  expect(await world.counted()).toEqual({ bytes: 5 })
  expect(await world.bytesOfRun()).toBe(5)
  expect(world.logOf(run)).toBe(log)
  const shown = (await world.authority('budget', 'show', 'last')).out
  expect(shown).toMatch(
    new RegExp(`^adjusted: effect ${intent} is charged less by bytes [^,]+, bytes in [^,]+, by uid \\d+: it read five bytes$`, 'm'),
  )
  const verdict = await world.json('audit', 'verify', 'last')
  expect(verdict).toMatchObject({ status: 'recovered', exitCode: 2 })
  expect(verdict.proved.join('\n')).toContain('each of 1 adjustments takes back only what was charged without being known to be used')
  expect((await world.authority('audit', 'verify', join(world.home, 'installation'))).code).toBe(0)
})

test('never twice, never more than was charged, never of what is known, never without a reason, never of a run that goes on', async () => {
  await world.authority('budget', 'limit', '--budget', 'bytes=1MiB')
  await world.kill()
  const { effects } = await world.json('budget', 'adjust', 'last')
  const intent = String(effects[0].intent)
  const refused = async (words: readonly string[], why: string): Promise<void> => {
    const { lines, code } = await world.authority('budget', 'adjust', 'last', ...words)
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
  expect((await world.counted()).bytes).toBe(effects[0].charged.bytes)
  expect((await world.authority('budget', 'adjust', 'last', intent, '--actual', 'bytes=5', ...reason)).code).toBe(0)
  await refused([intent, '--actual', 'bytes=5', ...reason], 'of bytes it is charged 5 B')
  expect(await world.counted()).toEqual({ bytes: 5 })
  const inside = [BINARY, 'budget', 'adjust', 'last']
  const living = await world.authority('gate', 'serve', '--policy', 'p.json', '--', ...inside)
  expect(living.lines).toContain('is still going')
})

test('what was taken back is free for the next run, and no more than that', async () => {
  await world.authority('budget', 'limit', '--budget', `bytes=${MIB}`)
  await world.kill()
  const { effects } = await world.json('budget', 'adjust', 'last')
  const held: number = effects[0].charged.bytes
  await world.authority('budget', 'limit', '--budget', `bytes=${held}`)
  const reads = ['--', 'python3', '-c', 'import authority; print(authority.connect().fs.read_file("/in/a"))']
  const next = () => world.authority('gate', 'serve', '--policy', 'p.json', '-v', `${world.folder}/in:/in:ro`, ...reads)
  const before = await next()
  expect(before.lines).toContain('the bytes budget of all runs together has no room')
  const run: string = (await world.json('runs', 'ls'))[1].id
  const words = [run, String(effects[0].intent), '--actual', `bytes=${held - 5}`, '--reason', 'x']
  expect((await world.authority('budget', 'adjust', ...words)).code).toBe(0)
  expect((await next()).out).toContain('12345')
  expect((await next()).lines).toContain('the bytes budget of all runs together has no room')
  expect(await world.counted()).toEqual({ bytes: held })
})

test('a log that was changed is adjusted by nobody', async () => {
  await world.kill()
  const { run, effects } = await world.json('budget', 'adjust', 'last')
  const segment = join(world.home, 'runs', run, 'audit', 'seg-00000000.log')
  chmodSync(segment, 0o600)
  const bytes = readFileSync(segment)
  bytes[5000] = (bytes[5000] ?? 0) ^ 1
  writeFileSync(segment, bytes)
  const words = [String(effects[0].intent), '--actual', 'bytes=5', '--reason', 'x']
  const { lines, code } = await world.authority('budget', 'adjust', run, ...words)
  expect({ lines, code }).toEqual({ lines: expect.stringContaining('was tampered with'), code: 1 })
})

test('a run that is said to be over, with a log that nobody sealed, is adjusted by nobody', async () => {
  await world.kill()
  const runs = join(world.home, 'runs')
  const [run = ''] = readdirSync(runs)
  const record = join(runs, run, 'run.json')
  writeFileSync(record, JSON.stringify({ ...JSON.parse(readFileSync(record, 'utf8')), state: 'ended' }))
  for (const words of [[], ['4', '--actual', 'bytes=5', '--reason', 'x']]) {
    const { lines, code } = await world.authority('budget', 'adjust', run, ...words)
    expect({ lines, code }).toEqual({ lines: expect.stringContaining('is not sealed'), code: 64 })
  }
})
