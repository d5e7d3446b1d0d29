/** The power fails at one change of a real file system after the other; what the disk kept is recovered there and judged. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureInstallation, type RecordBody, readRecords, recoverRun, verifyRun } from '../index.ts'
import { LossyDisk, type PowerCut } from './lossy-disk.ts'
import { RUN_ID } from './scenario.ts'

const WRITER = join(import.meta.dirname, 'power-process.ts')
const RECOVERY = join(import.meta.dirname, 'recover-process.ts')
/** s for one process: none may hang. */
const DEADLINE_S = 60

/** How many changes a whole run of the small gate makes, from the installation's first folder to its sealed log. */
export async function changesOfARun(): Promise<{ readonly changes: number; readonly broken: readonly string[] }> {
  return withDisk(async (disk, effects) => {
    const home = join(disk.folder, 'home')
    const before = disk.changes
    const said = bun(WRITER, home, effects)
    const changes = disk.changes - before
    const broken = await judge(home, effects, said)
    if (!said.includes('sealed')) broken.push('without a cut it was not sealed')
    if (readdirSync(join(home, 'run')).filter((name) => name.startsWith('seg-')).length < 3)
      broken.push('it fills fewer than three segments')
    return { changes, broken }
  })
}

/** Sentences about promises broken by this cut, and by one more during the recovery from it; none is good. */
export async function cutPower(cut: PowerCut, again: PowerCut | null = null): Promise<string[]> {
  return withDisk(async (disk, effects) => {
    const where = `cut ${cut.when} change ${cut.at}, seed ${cut.seed}${again === null ? '' : `, again ${again.when} ${again.at}`}: `
    try {
      const home = join(disk.folder, 'home')
      disk.cut(cut)
      const said = bun(WRITER, home, effects)
      if (!disk.dead) return [`${where}the power did not fail`]
      disk.on()
      if (again !== null && existsSync(join(home, 'run'))) {
        disk.cut(again)
        bun(RECOVERY, home)
        disk.on()
      }
      return (await judge(home, effects, said)).map((broken) => where + broken)
    } catch (error) {
      return [`${where}${error instanceof Error ? error.message : String(error)}`]
    }
  })
}

async function judge(home: string, effects: string, said: string): Promise<string[]> {
  const path = join(home, 'run')
  const acknowledged = [...said.matchAll(/^(?:durable|signed) (\d+)$/gm)].map((match) => Number(match[1]))
  const happened = readdirSync(effects)
  const started = acknowledged.length > 0 || happened.length > 0
  if (!existsSync(path)) return started ? ['the log is gone, and something was acknowledged'] : []
  const installation = await ensureInstallation(home)
  const { state } = await recoverRun({ path, installation })
  if (state === 'never-started') return started ? ['the log never started, and something was acknowledged'] : []
  const verdict = await verifyRun(path, { installation: installation.folder, run: RUN_ID })
  const broken: string[] = []
  if (verdict.status !== 'intact' && verdict.status !== 'recovered')
    broken.push(`after recovery (${state}) the log is ${verdict.status}: ${verdict.findings[0]?.message}`)
  if (said.includes('sealed') && verdict.status !== 'intact') broken.push(`it was sealed and is ${verdict.status}`)
  const records = new Map<number, RecordBody>()
  for await (const record of readRecords(path)) records.set(record.seq, record)
  const announced = new Set([...records.values()].map((record) => (record.type === 'INTENT' ? record.object : '')))
  for (const seq of acknowledged) if (!records.has(seq)) broken.push(`record ${seq} was acknowledged and is lost`)
  for (const name of happened) if (!announced.has(`/data/${name}`)) broken.push(`effect ${name} happened without its INTENT`)
  return broken
}

/** stdout, up to the end of the process or to its death. */
function bun(...words: readonly string[]): string {
  const child = Bun.spawnSync(['timeout', '-s', 'KILL', String(DEADLINE_S), process.execPath, ...words], {
    stdout: 'pipe',
    stderr: 'ignore',
    env: { PATH: process.env.PATH ?? '' },
  })
  return child.stdout.toString()
}

async function withDisk<T>(act: (disk: LossyDisk, effects: string) => Promise<T>): Promise<T> {
  const disk = await LossyDisk.mount()
  const effects = mkdtempSync(join(tmpdir(), 'authority-effects-'))
  try {
    return await act(disk, effects)
  } finally {
    await disk.unmount()
    rmSync(effects, { recursive: true, force: true })
  }
}
