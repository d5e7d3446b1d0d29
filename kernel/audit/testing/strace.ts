/** Breaks a real process at one system call after the other (strace's fault injection), then recovers its log on the real file system and judges it. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureInstallation, readRecords, recoverRun, verifyRun } from '../index.ts'
import { RUN_ID } from './scenario.ts'

const PROCESS = join(import.meta.dirname, 'crash-process.ts')
/** s for one broken process: none may hang. */
const DEADLINE_S = 30
export const FAULTS = ['error=EIO', 'error=ENOSPC', 'signal=SIGKILL'] as const
export type SystemFault = (typeof FAULTS)[number]

/** The how-manieth call of that name on the files of the log. */
export interface SystemCall {
  readonly name: string
  readonly ordinal: number
}

const FILES = [
  'run/seg-00000000.log',
  'run/checkpoints',
  'run/lock',
  'run',
  'installation',
  'installation/lock',
  'installation/checkpoints',
]
const MORE = [
  'installation/seg-00000000.log',
  'installation/key.pub',
  'installation/key.chain',
  'keys',
  'keys/installation.key',
  'mark-begin',
  'mark-end',
]

export function hasStrace(): boolean {
  return Bun.which('strace') !== null && Bun.spawnSync(['strace', '-o', '/dev/null', 'true']).exitCode === 0
}

function trace(home: string, more: readonly string[]): { readonly stdout: string; readonly trace: string } {
  const out = join(home, 'trace')
  const paths = [...FILES, ...MORE].flatMap((file) => ['-P', join(home, file)])
  const child = Bun.spawnSync(
    ['timeout', '-s', 'KILL', String(DEADLINE_S), 'strace', '-f', '-q', '-o', out, ...paths, ...more, process.execPath, PROCESS, home],
    { stdout: 'pipe', stderr: 'ignore', env: { PATH: process.env.PATH ?? '' } },
  )
  return { stdout: child.stdout.toString(), trace: readFileSync(out, 'utf8') }
}

/** All system calls that one append and one checkpoint make on the files of the log. */
export function callsOfAnAppend(): SystemCall[] {
  const home = mkdtempSync(join(tmpdir(), 'authority-strace-'))
  try {
    const counts = new Map<string, number>()
    const calls: SystemCall[] = []
    let inside = false
    for (const line of trace(home, []).trace.split('\n')) {
      const name = /^\d+ +([a-z0-9_]+)\(/.exec(line)?.[1]
      if (name === undefined) continue
      const ordinal = (counts.get(name) ?? 0) + 1
      counts.set(name, ordinal)
      if (line.includes('mark-end')) inside = false
      if (inside) calls.push({ name, ordinal })
      if (line.includes('mark-begin')) inside = true
    }
    return calls
  } finally {
    rmSync(home, { recursive: true })
  }
}

/** Sentences about promises broken by this fault; none is good. */
export async function breakAt({ name, ordinal }: SystemCall, fault: SystemFault): Promise<string[]> {
  const home = mkdtempSync(join(tmpdir(), 'authority-strace-'))
  const where = `${fault} at ${name} ${ordinal}: `
  try {
    const { stdout, trace: seen } = trace(home, ['-e', `inject=${name}:${fault}:when=${ordinal}`])
    if (!/INJECTED|killed by SIGKILL/.test(seen)) return [`${where}nothing was injected`]
    return (await judge(home, stdout)).map((broken) => where + broken)
  } catch (error) {
    return [`${where}${error instanceof Error ? error.message : String(error)}`]
  } finally {
    rmSync(home, { recursive: true })
  }
}

async function judge(home: string, stdout: string): Promise<string[]> {
  const broken: string[] = []
  const path = join(home, 'run')
  const acknowledged = [...stdout.matchAll(/^durable (\d+)$/gm)].map((match) => Number(match[1]))
  if (stdout.includes('GOES ON')) broken.push('the log goes on after a failure')
  const installation = await ensureInstallation(home)
  const { state } = await recoverRun({ path, installation })
  const verdict = await verifyRun(path, { installation: installation.folder, run: RUN_ID })
  if (verdict.status !== 'intact' && verdict.status !== 'recovered')
    broken.push(`after recovery (${state}) the log is ${verdict.status}: ${verdict.findings[0]?.message}`)
  const numbers = new Set<number>()
  let announced = false
  for await (const record of readRecords(path)) {
    numbers.add(record.seq)
    announced ||= record.type === 'INTENT'
  }
  for (const seq of acknowledged) if (!numbers.has(seq)) broken.push(`record ${seq} was acknowledged and is lost`)
  if (existsSync(join(home, 'effect')) && !announced) broken.push('the effect happened without its INTENT')
  if (stdout.includes('\nsealed\n') && verdict.status !== 'intact') broken.push(`it was sealed and is ${verdict.status}`)
  return broken
}
