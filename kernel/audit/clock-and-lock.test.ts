import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hostFs } from './fs-host.ts'
import { ensureInstallation, openRunLog, readRecords, recoverRun, tryLock, verifyRun } from './index.ts'
import { AT_ONCE, RUN_END, RUN_ID, runStart, work } from './testing/scenario.ts'

const HOUR = 3_600_000
const NOON = Date.UTC(2026, 10, 23, 12)

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'authority-clock-'))
})
afterEach(() => rmSync(home, { recursive: true }))

describe('a clock set back an hour during a run', () => {
  /** Six records before the clock is set back, six after it; `end` says how the run ends. */
  async function run(end: 'sealed' | 'died') {
    let [wall, boot] = [NOON, 1000]
    const installation = await ensureInstallation(home, { clock: { wallMs: () => wall++, monotonicMs: () => boot++ } })
    const log = await openRunLog({ path: join(home, RUN_ID), installation, start: runStart(installation), ...AT_ONCE })
    await work(log, 1)
    await log.checkpoint()
    const before = log.size
    wall -= HOUR
    await work(log, 1)
    await log.checkpoint()
    if (end === 'sealed') await log.seal(RUN_END)
    else log.abandon()
    return { installation, path: log.path, before }
  }

  it('shows in `t` alone: order, `boot_ms` and the proof are as ever, and verify tells it', async () => {
    const { installation, path, before } = await run('sealed')
    const records = await Array.fromAsync(readRecords(path))
    expect(records.map(({ seq }) => seq)).toEqual(records.map((_, i) => i))
    for (const [i, record] of records.entries()) expect(record.boot_ms).toBeGreaterThanOrEqual(records[i - 1]?.boot_ms ?? 0)
    const times = records.map(({ t }) => Date.parse(t))
    expect(times.map((time, i) => time < (times[i - 1] ?? 0)).flatMap((back, i) => (back ? [i] : []))).toEqual([before])
    expect(times[before]).toBeLessThan(NOON)
    const verdict = await verifyRun(path, { installation: installation.folder, run: RUN_ID })
    expect(verdict).toMatchObject({ status: 'intact', exitCode: 0, effects: 4, denials: 2, findings: [] })
    expect(verdict.warnings).toEqual([`the wall clock went back from ${records[before - 1]?.t} to ${records[before]?.t}`])
  })

  it('does not hinder recovery, nor another run of the same installation', async () => {
    const { installation, path } = await run('died')
    expect(await recoverRun({ path, installation })).toMatchObject({ state: 'recovered' })
    const verdict = await verifyRun(path, { installation: installation.folder, run: RUN_ID })
    expect(verdict).toMatchObject({ status: 'recovered', exitCode: 2 })
    expect(verdict.warnings).toHaveLength(1)
    const next = 'e'.repeat(32)
    const log = await openRunLog({ path: join(home, next), installation, start: runStart(installation, next), ...AT_ONCE })
    await log.seal(RUN_END)
    expect(await verifyRun(log.path, { installation: installation.folder, run: next })).toMatchObject({ status: 'intact', warnings: [] })
  })
})

describe('a second gate on one log', () => {
  it('is refused, gets no lock, recovers nothing, and the first goes on unharmed', async () => {
    const installation = await ensureInstallation(home)
    const options = { path: join(home, RUN_ID), installation, start: runStart(installation), ...AT_ONCE }
    const log = await openRunLog(options)
    await work(log, 1)
    const second = await ensureInstallation(home)
    await expect(openRunLog({ ...options, installation: second })).rejects.toMatchObject({ code: 'E_AUDIT' })
    await expect(openRunLog({ ...options, installation: second })).rejects.toThrow('every run has a log of its own')
    expect(tryLock(hostFs, log.path, 'second')).toBe(null)
    expect(await recoverRun({ path: log.path, installation: second })).toEqual({ state: 'live' })
    await work(log, 1)
    await log.seal(RUN_END)
    expect(await verifyRun(log.path, { installation: installation.folder, run: RUN_ID })).toMatchObject({
      status: 'intact',
      effects: 4,
      findings: [],
      warnings: [],
    })
  })
})
