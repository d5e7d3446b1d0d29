/**
 * As a new user: no policy, an agent that needs five things, and nothing to go by but what the tool prints. The same command three times is enough:
 * the first run learns what it looked at, the second what it read and changed, the third does all five. Nothing is written by hand.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runProgram } from '../process/run-program.ts'
import { compileStatic, freshFolder, freshHome, removeFolder } from './vm-support.ts'

const ROOT = join(import.meta.dirname, '../..')
const BINARY = join(ROOT, 'dist/authority')
const BUILD_MS = 170_000
const RUN_MS = 110_000
/** Words of the tool's own (333 when measured), with room for longer paths and times. */
const MAX_WORDS = 380

/** What each command made a new user read: words the tool wrote, the agent's own left out. */
const words: number[] = []
let folder: string
let env: Record<string, string>

beforeAll(async () => {
  const built = await runProgram([process.execPath, 'run', join(ROOT, 'cli/build/build.ts')], { deadlineMs: BUILD_MS })
  if (built.code !== 0) throw new Error(built.stderr)
  folder = freshFolder('policy-trial-')
  for (const name of ['in', 'out']) mkdirSync(join(folder, name))
  for (const name of ['in/a.txt', 'in/b.txt', 'out/old.txt']) writeFileSync(join(folder, name), name)
  await compileStatic(join(import.meta.dirname, 'policy-agent/five.c'), join(folder, 'five'))
  env = { PATH: process.env['PATH'] ?? '', AUTHORITY_HOME: freshHome(folder).path }
}, BUILD_MS)

afterAll(() => removeFolder(folder))

const authority = async (...args: readonly string[]): Promise<{ code: number | null; out: string; err: string }> => {
  const { code, stdout, stderr } = await runProgram([BINARY, ...args], { env, deadlineMs: RUN_MS })
  words.push(stderr.split(/\s+/).filter((word) => word !== '').length)
  return { code, out: Buffer.from(stdout).toString(), err: stderr }
}

test('from no policy to one that works, in three commands', { timeout: 4 * RUN_MS }, async () => {
  const policy = join(folder, 'policy.json')
  const line = ['run', join(folder, 'five'), '-v', `${join(folder, 'in')}:/in:ro`, '-v', `${join(folder, 'out')}:/out`, '--accel', 'tcg']

  const first = await authority(...line, '--learn', policy, '--yes')
  expect([first.code, first.out]).toEqual([5, expect.stringContaining('could not read a')])
  expect(first.err).toContain('+   "/in/a.txt"')

  const second = await authority(...line, '--policy', policy, '--learn', policy, '--yes')
  expect(second.code).toBe(5)
  expect(second.err).toMatch(/- {3}"\/in\/a.txt"[\s\S]*fs\.read\n\+ {3}"\/in\/a.txt"/)
  expect(JSON.parse(readFileSync(policy, 'utf8')).fs.look).toBeUndefined()

  const third = await authority(...line, '--policy', policy)
  expect([third.code, third.out.trim().split('\n')]).toEqual([
    0,
    ['did read a', 'did read b', 'did write the report', 'did make a folder', 'did remove the old report'],
  ])
  expect(readFileSync(join(folder, 'out/report.txt'), 'utf8')).toBe('x\n')

  expect(words).toHaveLength(3)
  expect(words.reduce((sum, each) => sum + each, 0)).toBeLessThan(MAX_WORDS)

  // What was learned is literal, and the first file it is asked about by hand is denied still.
  const learned = JSON.parse(readFileSync(policy, 'utf8')) as { profiles: string[]; fs: { write: string[] } }
  expect(learned.profiles).toEqual(['tier1-musl'])
  expect(learned.fs.write).toEqual(['/out/report.txt', '/out/log', '/out/old.txt'])
  expect((await authority('policy', 'why', 'fs.write', '/out/other.txt', '--policy', policy)).code).toBe(1)
})
