import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Home, openHome } from './home.ts'
import { createRunFolder, findRun, listRuns, reconcile, removeRun } from './registry.ts'
import { isAlive, processStartTicks, type RunRecord, readRun, writeRun } from './run-record.ts'

let root: string
let home: Home
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'authority-runs-'))
  home = openHome(join(root, 'home'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

function addRun(id: string, change: Partial<RunRecord> = {}): string {
  const folder = createRunFolder(home, id)
  writeRun(folder, {
    format: 1,
    id,
    state: 'ended',
    program: './agent',
    started: '2026-01-01T00:00:00.000Z',
    ended: null,
    ended_by: null,
    exit_code: null,
    gate: null,
    policy: '',
    isolation: 'emulated',
    image_sha256: '',
    ...change,
  })
  return folder
}

const A = `aa${'0'.repeat(30)}`
const B = `ab${'0'.repeat(30)}`
const mine = { pid: process.pid, start_ticks: processStartTicks(process.pid) ?? '' }

describe('runs', () => {
  test('are found by any unique prefix, and `last` is the newest', () => {
    addRun(A)
    addRun(B, { started: '2026-02-01T00:00:00.000Z' })
    expect(findRun(home, 'aa').record.id).toBe(A)
    expect(findRun(home, 'last').record.id).toBe(B)
    expect(listRuns(home).map((run) => run.id)).toEqual([B, A])
  })

  test('an ambiguous, unknown or malformed prefix is refused', () => {
    addRun(A)
    addRun(B)
    expect(() => findRun(home, 'a')).toThrow(/beginning of 2 runs/)
    expect(() => findRun(home, 'ff')).toThrow(/no run/)
    expect(() => findRun(home, '../aa')).toThrow(/no run/)
  })

  test('a run that is going is not removed; an ended one is', () => {
    addRun(A, { state: 'running', gate: mine })
    addRun(B)
    expect(() => removeRun(home, 'aa')).toThrow(/still going/)
    removeRun(home, 'ab')
    expect(listRuns(home).map((run) => run.id)).toEqual([A])
  })

  test('a process id that was reused does not count as alive', () => {
    addRun(A, { state: 'running', gate: { pid: process.pid, start_ticks: '1' } })
    expect(isAlive(findRun(home, 'aa').record)).toBe(false)
  })

  test('what a crash left is recovered once and its sockets are gone', async () => {
    const folder = addRun(A, { state: 'running', gate: { pid: 2 ** 22, start_ticks: '1' } })
    addRun(B, { state: 'running', gate: mine })
    writeFileSync(join(folder, 'control.sock'), '')
    const recovered: string[] = []
    const recover = async (_: string, record: RunRecord): Promise<boolean> => recovered.push(record.id) > 0
    expect(await reconcile(home, async () => false)).toEqual([])
    expect(existsSync(join(folder, 'control.sock'))).toBe(true)
    expect((await reconcile(home, recover)).map((run) => run.id)).toEqual([A])
    expect(await reconcile(home, recover)).toEqual([])
    expect(recovered).toEqual([A])
    expect(readRun(folder)).toMatchObject({ state: 'ended', ended_by: 'crash', exit_code: 125 })
    expect(existsSync(join(folder, 'control.sock'))).toBe(false)
  })
})
