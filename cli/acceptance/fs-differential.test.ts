/** A sample of cli/campaigns/fs-differential.ts, and every seed that ever found a difference. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildBinary, compare, differentialFolder } from './programs-guest/differential-run.ts'
import { freshHome, removeFolder } from './vm-support.ts'

const FAILED = join(import.meta.dirname, '../../fixtures/fs-differential/failed.json')
const SAMPLE = [1, 2, 3]
const OPERATIONS = 150

let folder = ''
beforeAll(async () => {
  await buildBinary()
  folder = differentialFolder()
})
afterAll(() => removeFolder(folder))

test('random operations answer and leave the same on a mount as on a plain folder', async () => {
  const { seeds } = JSON.parse(readFileSync(FAILED, 'utf8')) as { seeds: number[] }
  const all = [...new Set([...SAMPLE, ...seeds])]
  expect(await compare(join(folder, 'files'), freshHome(folder).path, all, OPERATIONS, 110_000)).toEqual([])
})
