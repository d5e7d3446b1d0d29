/** Breaks one file system call after the other while a run is written, then recovers and verifies: what was acknowledged must be there. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureFolder } from '../files.ts'
import { openInstallation } from '../installation.ts'
import { recoverRun } from '../recovery.ts'
import type { RunLog } from '../stage.ts'
import { type Verdict, verifyRun } from '../verify/index.ts'
import { type Fault, MemoryFs } from './memory-fs.ts'
import { begin, HOME, intent, materialise, RUN_END, RUN_ID, testContext } from './scenario.ts'

export type Breakage = { readonly kind: 'fault'; readonly fault: Fault } | { readonly kind: 'kill'; readonly at: number }

export interface CrashResult {
  /** Numbers of records whose durable() had resolved. */
  readonly acknowledged: readonly number[]
  readonly sealed: boolean
  readonly recovery: string
  readonly verdict: Verdict | null
  /** Records in the log afterwards. */
  readonly text: string
}

/** Calls a whole run makes: the places to break at. */
export async function callsOfARun(): Promise<{ readonly from: number; readonly to: number; readonly trace: readonly string[] }> {
  const fs = new MemoryFs()
  await openInstallation(HOME, testContext(fs))
  const from = fs.calls
  await writeRun(fs, [])
  return { from, to: fs.calls, trace: fs.trace.slice(from) }
}

/** True when it was sealed. */
async function writeRun(fs: MemoryFs, acknowledged: number[]): Promise<boolean> {
  let log: RunLog | undefined
  try {
    log = (await begin(testContext(fs), { segmentBytes: () => 4096 + 2048, preallocate: true, checkpointRecords: 6 })).log
    for (let i = 0; i < 8; i++) {
      const seq = log.append(intent(`/data/${i}`))
      await log.durable()
      acknowledged.push(seq)
      const outcome = log.append({ type: 'OUTCOME', intent: seq, status: 'ok', captured: { calls: 1 } })
      await log.durable()
      acknowledged.push(outcome)
    }
    await log.seal(RUN_END)
    return true
  } catch {
    return false
  } finally {
    try {
      log?.abandon()
    } catch {
      // A dead process closes nothing either.
    }
  }
}

/** One run with one breakage, a power cut that keeps what `keep` says, recovery, verification. */
export async function crashOnce(breakage: Breakage, keep: () => boolean): Promise<CrashResult> {
  const fs = new MemoryFs()
  await openInstallation(HOME, testContext(fs))
  if (breakage.kind === 'fault') fs.fault = breakage.fault
  else fs.killAt = breakage.at
  const acknowledged: number[] = []
  const sealed = await writeRun(fs, acknowledged)
  fs.crash(keep)
  const installation = await openInstallation(HOME, testContext(fs, 99))
  const path = `${HOME}/${RUN_ID}`
  if (!fs.lstat(path)) return { acknowledged, sealed, recovery: 'no folder', verdict: null, text: '' }
  ensureFolder(fs, path)
  const { state } = await recoverRun({ path, installation })
  const folder = mkdtempSync(join(tmpdir(), 'authority-audit-'))
  try {
    materialise(folder, fs.snapshot(HOME))
    const verdict = state === 'never-started' ? null : await verifyRun(join(folder, RUN_ID), { installation: join(folder, 'installation') })
    const text = [...fs.snapshot(path)]
      .filter(([name]) => name.startsWith('seg-'))
      .map(([, bytes]) => new TextDecoder().decode(bytes))
      .join('')
    return { acknowledged, sealed, recovery: state, verdict, text }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Sentences about promises broken; none is good. */
export function brokenPromises({ acknowledged, sealed, recovery, verdict, text }: CrashResult): string[] {
  const broken: string[] = []
  if (acknowledged.length > 0 && verdict === null) broken.push(`acknowledged records and ${recovery}`)
  for (const seq of acknowledged) if (!text.includes(`{"seq":${seq},`)) broken.push(`record ${seq} was acknowledged and is lost`)
  if (verdict && verdict.status !== 'recovered' && verdict.status !== 'intact')
    broken.push(`verdict ${verdict.status}: ${verdict.findings[0]?.message}`)
  if (sealed && verdict?.status !== 'intact') broken.push(`it was sealed and is ${verdict?.status}`)
  return broken
}
