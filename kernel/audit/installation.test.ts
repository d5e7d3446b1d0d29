import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { ensureInstallation, openRunLog, recoverRun, verifyRun } from './index.ts'
import { openInstallation } from './installation.ts'
import { MemoryFs } from './testing/memory-fs.ts'
import { AT_ONCE, begin, HOME, RUN_END, runStart, testContext, work } from './testing/scenario.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})
function home(): string {
  const folder = mkdtempSync(join(tmpdir(), 'authority-audit-'))
  folders.push(folder)
  return folder
}

describe('installation', () => {
  it('is made once, also when many begin at the same time', async () => {
    const fs = new MemoryFs()
    const all = await Promise.all(Array.from({ length: 5 }, (_, i) => openInstallation(HOME, testContext(fs, i + 1))))
    expect(new Set(all.map(({ id }) => id)).size).toBe(1)
  })

  it('is finished or begun again after a crash at any call while it is made', async () => {
    const measure = new MemoryFs()
    await openInstallation(HOME, testContext(measure))
    for (let at = 0; at < measure.calls; at++) {
      const fs = new MemoryFs()
      fs.killAt = at
      await openInstallation(HOME, testContext(fs)).catch(() => {})
      fs.crash(() => at % 2 === 0, at % 3 === 0)
      const { id } = await openInstallation(HOME, testContext(fs, 7))
      expect((await openInstallation(HOME, testContext(fs, 8))).id).toBe(id)
    }
  })

  it('refuses to go on when its log was removed', async () => {
    const fs = new MemoryFs()
    await openInstallation(HOME, testContext(fs))
    fs.remove(`${HOME}/installation/seg-00000000.log`)
    await expect(openInstallation(HOME, testContext(fs))).rejects.toThrow('someone removed it')
  })

  it('takes notes of many runs at once, on the real file system, and all of them verify', async () => {
    const folder = home()
    const installation = await ensureInstallation(folder)
    const runs = Array.from({ length: 6 }, (_, i) => String(i).repeat(32))
    await Promise.all(
      runs.map(async (run) => {
        const own = await ensureInstallation(folder)
        const log = await openRunLog({
          path: join(folder, run),
          installation: own,
          start: runStart(own, run),
          checkpointRecords: 5,
          checkpointMs: 0,
        })
        await work(log, 3)
        await log.seal(RUN_END)
      }),
    )
    for (const run of runs) {
      const verdict = await verifyRun(join(folder, run), { installation: installation.folder, run })
      expect(verdict).toMatchObject({ status: 'intact', exitCode: 0, run, effects: 6, denials: 3, findings: [] })
    }
  })

  it('locks a run out that another process writes, with the kernel’s own lock', async () => {
    const folder = home()
    const installation = await ensureInstallation(folder)
    const log = await openRunLog({ path: join(folder, 'run'), installation, start: runStart(installation), checkpointMs: 0 })
    expect(await recoverRun({ path: log.path, installation })).toEqual({ state: 'live' })
    log.abandon()
    expect(await recoverRun({ path: log.path, installation })).toMatchObject({ state: 'recovered' })
    expect(await verifyRun(log.path, { installation: installation.folder })).toMatchObject({ status: 'recovered', exitCode: 2 })
  })

  it('stops a run whose notes cannot be written', async () => {
    const fs = new MemoryFs()
    const { log, installation } = await begin(testContext(fs))
    fs.plant(`${HOME}/installation/seg-00000000.log`, { kind: 'symlink' })
    await expect(log.checkpoint()).rejects.toThrow('ELOOP')
    expect(log.latched).toContain('installation log')
    expect(() => log.append({ type: 'FATAL', reason: 'x' })).toThrow('installation log')
    log.abandon()
    await expect(
      openRunLog({ path: `${HOME}/next`, installation, start: runStart(installation, 'e'.repeat(32)), ...AT_ONCE }),
    ).rejects.toThrow('ELOOP')
  })
})
