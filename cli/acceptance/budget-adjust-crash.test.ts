import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BINARY, KilledRun } from './killed-run.ts'

/** An operator's adjustment that dies at any write or flush is done or not done, and never done twice. */
const hasStrace = spawnSync('strace', ['-V']).status === 0
/** The calls that change a file; `write` is the answer itself. */
const FILE_CALLS = ['ftruncate', 'pwrite64', 'fdatasync']
const FAULTS = [
  { fault: 'signal=SIGKILL', calls: [...FILE_CALLS, 'write'] },
  { fault: 'error=EIO', calls: FILE_CALLS },
] as const
/** No command makes more of one call; a sweep that gets there has no end. */
const MOST_CALLS = 64
const USED = 5

let world: KilledRun
let words: readonly string[]
let run: string
let log: string
let held: number

beforeEach(async () => {
  world = new KilledRun()
  await world.authority('budget', 'limit', '--budget', 'bytes=1MiB')
  await world.kill()
  const listed = await world.json('budget', 'adjust', 'last')
  run = listed.run
  held = listed.effects[0].charged.bytes
  log = world.logOf(run)
  words = ['budget', 'adjust', run, String(listed.effects[0].intent), '--actual', `bytes=${USED}`, '--reason', 'it read five bytes']
})
afterEach(() => world.close())

const adjustments = async (): Promise<readonly { readonly lowered: object }[]> => (await world.json('budget', 'show', run)).adjustments

/** What is wrong after a command that may or may not have got to its record; `said`: it said that it had. */
async function judge(said: boolean): Promise<string[]> {
  const broken: string[] = []
  const expectIt = (holds: boolean, promise: string): void => void (holds || broken.push(promise))
  const verdict = async () => (await world.json('audit', 'verify', run)) as { readonly status: string; readonly proved: readonly string[] }
  const installation = () => world.authority('audit', 'verify', join(world.home, 'installation'))
  expectIt((await verdict()).status === 'recovered', 'the log verifies after the crash')
  const done = (await adjustments()).length
  expectIt(done <= 1 && (done === 1 || !said), `what was said is on record, once; there are ${done}`)
  const left = done === 1 ? USED : held
  expectIt((await world.bytesOfRun()) === left, `the run is charged ${left}`)
  const again = await world.authority(...words)
  if (done === 0) expectIt(again.code === 0, `it can be done now: ${again.lines}`)
  else
    expectIt(again.code === 64 && again.lines.includes('of bytes it is charged 5 B'), `it is not done again: ${again.code} ${again.lines}`)
  expectIt((await adjustments()).length === 1, 'there is one adjustment in the end')
  expectIt((await world.counted()).bytes === USED, 'runs share what is left, once')
  expectIt((await world.bytesOfRun()) === USED, 'the run is charged what it used')
  expectIt(
    (await verdict()).proved.some((line) => line.startsWith('each of 1 adjustments')),
    'the verifier proves the adjustment',
  )
  expectIt((await installation()).code !== 1, 'the installation log verifies')
  expectIt(world.logOf(run) === log, "the run's own log is what it was")
  return broken
}

describe.skipIf(!hasStrace)('an adjustment that is broken at one call after the other', () => {
  test.each(FAULTS)('$fault: the accounts agree with the log, nothing is given back twice', async ({ fault, calls }) => {
    const pristine = join(world.folder, 'pristine')
    cpSync(world.home, pristine, { recursive: true })
    const files = ['lock', 'seg-00000000.log', 'checkpoints'].flatMap((name) => ['-P', join(world.home, 'installation', name)])
    const trace = join(world.folder, 'trace')
    const broken: string[] = []
    let [before, after] = [0, 0]
    for (const call of calls) {
      for (let nth = 1; ; nth++) {
        expect(nth).toBeLessThan(MOST_CALLS)
        rmSync(world.home, { recursive: true })
        cpSync(pristine, world.home, { recursive: true })
        const where = call === 'write' ? [] : files
        const inject = ['-e', `trace=${call}`, '-e', `inject=${call}:${fault}:when=${nth}`]
        const { out } = await world.run('strace', '-f', '-qq', '-o', trace, ...where, ...inject, BINARY, ...words)
        if (!/INJECTED|killed by SIGKILL/.test(readFileSync(trace, 'utf8'))) break
        const said = out.includes('is charged less')
        if ((await adjustments()).length === 0) before += 1
        else after += 1
        broken.push(...(await judge(said)).map((promise) => `${fault} at ${call} ${nth}: ${promise}`))
      }
    }
    expect(broken).toEqual([])
    // Both sides of the record were seen.
    expect(before).toBeGreaterThan(0)
    expect(after).toBeGreaterThan(0)
  })
})

test('operators at once: one of them takes it back, the others are told what is left', async () => {
  const ended = await Promise.all(Array.from({ length: 8 }, () => world.authority(...words)))
  expect(ended.filter(({ code }) => code === 0)).toHaveLength(1)
  for (const { code, lines } of ended)
    if (code !== 0) expect({ code, lines }).toEqual({ code: 64, lines: expect.stringContaining('of bytes it is charged 5 B') })
  expect(await judge(true)).toEqual([])
})
