import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureInstallation, recoverRun, verifyRun } from '@authority/kernel/audit'
import type { Charges } from '@authority/kernel/vocabulary'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readPool, settleEndedRuns } from '../runs/gate/shared-budget.ts'

const CENT = 10_000_000
const PROGRAM = join(import.meta.dirname, 'shared-budget', 'run-process.ts')
const runId = (number: number): string => String(number).padStart(32, '0')
let home: string

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'authority-budget-'))
  mkdirSync(join(home, 'runs'), { mode: 0o700 })
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

async function limit(cost: number, more: Charges = {}) {
  const installation = await ensureInstallation(home)
  await installation.note({ type: 'BUDGET_LIMITS', limits: { cost_nano_usd: cost, ...more }, by_uid: 0 })
  return installation
}

async function runProcess(number: number, count: number, amount: number, ending = 'end'): Promise<number> {
  const child = Bun.spawn([process.execPath, PROGRAM, home, runId(number), String(count), String(amount), ending], { stderr: 'inherit' })
  const text = await new Response(child.stdout).text()
  await child.exited
  return Number(text)
}

test('1,000 concurrent reservations of $0.10 by eight processes against $5 of the installation: exactly 50, and the logs prove it', async () => {
  const installation = await limit(500 * CENT)
  const granted = await Promise.all(Array.from({ length: 8 }, (_, i) => runProcess(i, 125, 10 * CENT)))
  expect(granted.reduce((sum, each) => sum + each, 0)).toBe(50)
  expect((await readPool(installation)).counted).toEqual({ cost_nano_usd: 500 * CENT })
  for (let i = 0; i < 8; i++)
    expect(await verifyRun(join(home, 'runs', runId(i), 'audit'), { installation: installation.folder })).toMatchObject({
      findings: [],
      status: 'intact',
    })
}, 120_000)

test('a killed run counts in full until its log is recovered; then what it spent counts', async () => {
  const installation = await limit(500 * CENT)
  expect(await runProcess(1, 2, 10 * CENT, 'die')).toBe(2)
  const held = (await readPool(installation)).counted.cost_nano_usd ?? 0
  expect(held).toBeGreaterThan(20 * CENT)
  await settleEndedRuns(installation, join(home, 'runs'))
  expect((await readPool(installation)).counted.cost_nano_usd).toBe(held)
  await recoverRun({ path: join(home, 'runs', runId(1), 'audit'), installation })
  await settleEndedRuns(installation, join(home, 'runs'))
  expect((await readPool(installation)).counted.cost_nano_usd).toBe(20 * CENT)
  expect(await runProcess(2, 60, 10 * CENT)).toBe(48)
}, 60_000)

test('gates that begin at once settle a killed run once: a second word would be a lease that nobody holds, a log that was tampered with', async () => {
  const installation = await limit(500 * CENT)
  expect(await runProcess(1, 2, 10 * CENT, 'die')).toBe(2)
  const path = join(home, 'runs', runId(1), 'audit')
  await recoverRun({ path, installation })
  const runs = join(home, 'runs')
  let others = 0
  const lastNoted = async (run: string) => {
    others += 1
    await settleEndedRuns(installation, runs)
    return installation.lastNoted(run)
  }
  await settleEndedRuns({ ...installation, lastNoted }, runs)
  expect(others).toBe(1)
  expect((await readPool(installation)).counted).toEqual({ cost_nano_usd: 20 * CENT })
  expect(await verifyRun(path, { installation: installation.folder })).toMatchObject({ status: 'recovered' })
}, 60_000)

test('a killed run pays for all the time it had leased, and its places are free again', async () => {
  const installation = await limit(500 * CENT, { wall_time_ms: 3_600_000, concurrency: 5 })
  expect(await runProcess(1, 2, 10 * CENT, 'die')).toBe(2)
  expect((await readPool(installation)).counted).toMatchObject({ wall_time_ms: 60_000, concurrency: 2 })
  await recoverRun({ path: join(home, 'runs', runId(1), 'audit'), installation })
  await settleEndedRuns(installation, join(home, 'runs'))
  expect((await readPool(installation)).counted).toEqual({ cost_nano_usd: 20 * CENT, wall_time_ms: 60_000 })
  expect(await runProcess(2, 1, 10 * CENT)).toBe(1)
  expect((await readPool(installation)).counted).toEqual({ cost_nano_usd: 30 * CENT, wall_time_ms: 60_000 })
}, 60_000)

test('1,000 effects at once by eight processes: the logs prove that they never leased more than five places, and all are given back', async () => {
  const installation = await limit(100_000 * CENT, { concurrency: 5 })
  const granted = await Promise.all(Array.from({ length: 8 }, (_, i) => runProcess(i, 125, 1 * CENT)))
  expect(granted.reduce((sum, each) => sum + each, 0)).toBeGreaterThanOrEqual(5)
  expect((await readPool(installation)).counted.concurrency).toBe(undefined)
  for (let i = 0; i < 8; i++)
    expect(await verifyRun(join(home, 'runs', runId(i), 'audit'), { installation: installation.folder })).toMatchObject({
      findings: [],
      status: 'intact',
    })
}, 120_000)
