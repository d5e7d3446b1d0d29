/** A sample of cli/campaigns/sockets-differential.ts, every seed that ever found a difference, and a conformance client. */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildBinary, differentialFolder } from './programs-guest/differential-run.ts'
import { conform } from './sockets-guest/conformance-run.ts'
import { compare, inMachine, prepare, type Where } from './sockets-guest/differential-run.ts'
import { freshHome, removeFolder } from './vm-support.ts'

const FAILED = join(import.meta.dirname, '../../fixtures/sockets-differential/failed.json')
/** Cases of conformance.py that may differ: what each comes to in the VM and on the host, and why. It only shrinks. */
const LISTED = join(import.meta.dirname, '../../fixtures/sockets-differential/conformance.json')
const SAMPLE = Array.from({ length: 20 }, (_, i) => i + 1)
const OPERATIONS = 120
/** Of the conformance client; fewer would mean that it ended early. */
const CASES = 48

let folder = ''
beforeAll(async () => {
  await buildBinary()
  folder = differentialFolder()
})
afterAll(() => removeFolder(folder))

const where = (name: string): Where => ({ folder: join(folder, name), home: freshHome(folder).path, deadlineMs: 110_000 })

test('random socket operations answer the same in the VM and on the host, and their servers see the same', async () => {
  const { seeds } = JSON.parse(readFileSync(FAILED, 'utf8')) as { seeds: number[] }
  expect(await compare(where('random'), [...new Set([...SAMPLE, ...seeds])], OPERATIONS)).toEqual([])
})

test('what a program sent arrives whole, though it ends without a close or a wait and the far end is slow or has ended', async () => {
  const ended = `c 1 0 2\nF 1 0 0\nz 1 0 0\n${'q 1 20000 2\n'.repeat(40)}k 1 0 0\n`
  const script = `${ended}c 0 0 1\nz 0 0 0\n${'q 0 20000 1\n'.repeat(200)}`
  const scripts = new Map([['last', script]])
  await prepare(where('last'), scripts)
  const { answers, connections } = await inMachine(where('last'), scripts)
  expect(answers).toMatch(/sent 20005 0\n$/)
  expect(connections.get(1)).toContain(`ended after ${10 + 200 * 20_005} bytes`)
  expect(connections.get(2)).toContain(`ended after ${15 + 40 * 20_005} bytes`)
})

test('each case of the conformance client comes to the same in the VM and on the host, except for what is listed', async () => {
  const listed = JSON.parse(readFileSync(LISTED, 'utf8')) as Record<string, { vm: string; host: string; why: string }>
  const expected = Object.fromEntries(Object.entries(listed).map(([name, { vm, host }]) => [name, { vm, host }]))
  const place = where('conformance')
  mkdirSync(place.folder, { recursive: true })
  const { cases, differing } = await conform(place)
  expect(differing).toEqual(expected)
  expect(cases).toBeGreaterThanOrEqual(CASES)
})
