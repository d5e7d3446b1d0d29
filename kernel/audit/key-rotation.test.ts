import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { ensureInstallation, openRunLog, recoverRun, verifyRun } from './index.ts'
import { openInstallation } from './installation.ts'
import { MemoryFs } from './testing/memory-fs.ts'
import { AT_ONCE, begin, HOME, materialise, RUN_END, runStart, testContext, work } from './testing/scenario.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})
function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'authority-audit-'))
  folders.push(folder)
  return folder
}

describe('key rotation', () => {
  it('keeps the installation, erases the old key, and leaves logs of before and after verifiable under the first key and the last', async () => {
    const home = scratch()
    const first = await ensureInstallation(home)
    const runs: string[] = []
    for (const digit of ['a', 'b', 'c']) {
      const installation = await ensureInstallation(home)
      const run = digit.repeat(32)
      const log = await openRunLog({ path: join(home, run), installation, start: runStart(installation, run), ...AT_ONCE })
      await work(log, 2)
      if (digit === 'b') await expect((await ensureInstallation(home)).rotate()).rejects.toThrow('not sealed')
      await log.seal(RUN_END)
      runs.push(run)
      const { from, to } = await installation.rotate()
      expect(from).toBe(installation.verifierKey)
      expect(readFileSync(join(home, 'keys/installation.key'), 'utf8')).not.toContain(from.split('+')[1])
      expect(readFileSync(join(home, 'installation/key.pub'), 'utf8')).toBe(`${to}\n`)
    }
    const last = await ensureInstallation(home)
    expect(last.id).toBe(first.id)
    expect(existsSync(join(home, 'b'.repeat(32), 'key.chain'))).toBe(true)
    for (const run of runs) {
      const path = join(home, run)
      const options = { installation: last.folder, run }
      expect(await verifyRun(path, options)).toMatchObject({ status: 'intact', findings: [] })
      expect(await verifyRun(path, { ...options, key: first.verifierKey })).toMatchObject({ status: 'intact', trust: 'pinned-key' })
      expect(await verifyRun(path, { ...options, key: last.verifierKey })).toMatchObject({ status: 'intact', trust: 'pinned-key' })
      expect(await recoverRun({ path, installation: last })).toMatchObject({ state: 'sealed' })
    }
    expect((await verifyRun(join(home, runs[0] ?? ''), { key: last.verifierKey })).findings[0]?.message).toContain('another key')
  })

  it('does not let an old key sign on, nor a chain be shortened or forged', async () => {
    const fs = new MemoryFs()
    const { log, installation } = await begin(testContext(fs))
    await log.seal(RUN_END)
    await installation.rotate()
    const files = fs.snapshot(HOME)
    const judge = async (changes: readonly (readonly [string, string | null])[]): Promise<string | undefined> => {
      const folder = scratch()
      const changed = new Map(files)
      for (const [name, text] of changes) {
        if (text === null) changed.delete(name)
        else changed.set(name, new TextEncoder().encode(text))
      }
      materialise(folder, changed)
      const verdict = await verifyRun(join(folder, log.run), { installation: join(folder, 'installation') })
      return verdict.findings[0]?.message ?? verdict.status
    }
    const text = (name: string): string => new TextDecoder().decode(files.get(name))
    expect(await judge([])).toBe('intact')
    expect(await judge([['installation/key.chain', null]])).toContain('installation is not the one')
    expect(await judge([['installation/key.chain', text('installation/key.chain').replace('\n1\n', '\n2\n')]])).toContain('not genuine')
    expect(await judge([['installation/key.chain', '']])).toContain('no certificates')
    expect(
      await judge([
        ['installation/key.chain', null],
        ['installation/key.pub', `${installation.verifierKey}\n`],
      ]),
    ).toContain('key.chain does not know')
    const notes = text('installation/checkpoints').split('\n\n')
    const both = notes.at(-2)?.split('\n') ?? []
    const withoutNew = [...notes.slice(0, -2), both.slice(0, 1).join('\n'), ''].join('\n\n')
    expect(await judge([['installation/checkpoints', withoutNew]])).toContain('not in force')
  })

  it('is finished or undone after a crash at any call, and the log then verifies and goes on', async () => {
    const measure = new MemoryFs()
    const start = await begin(testContext(measure))
    await start.log.seal(RUN_END)
    const from = measure.calls
    await start.installation.rotate()
    const to = measure.calls
    for (let at = from; at < to; at++) {
      for (const loss of [0, 1, 2]) {
        const fs = new MemoryFs()
        const { log, installation } = await begin(testContext(fs))
        await log.seal(RUN_END)
        fs.killAt = at
        await installation.rotate().catch(() => {})
        let coin = loss
        const keep = (): boolean => {
          coin = (coin * 5 + 1) % 7
          return coin % 2 === 0
        }
        fs.crash(keep, loss === 2)
        const again = await openInstallation(HOME, testContext(fs, 50 + at))
        expect(again.id).toBe(installation.id)
        await again.note({ type: 'RUN_REMOVED', run: '9'.repeat(32), by_uid: 1 })
        const folder = scratch()
        materialise(folder, fs.snapshot(HOME))
        const verdict = await verifyRun(join(folder, log.run), { installation: join(folder, 'installation') })
        expect(verdict, `call ${at} ${measure.trace[at]} loss ${loss}`).toMatchObject({ status: 'intact', findings: [] })
        expect([...fs.list(`${HOME}/keys`)]).toEqual(['installation.key'])
      }
    }
  })
})
