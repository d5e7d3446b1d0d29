import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CliError } from './errors.ts'
import { writeFileAtomic } from './home.ts'

/** Life of a run: starting (gate spawned) → running (agent started) → ended. `ended` is final. */
export type RunState = 'starting' | 'running' | 'ended'

/** How a run ended, decided by the gate, not by the guest's word alone. */
export type EndedBy = 'agent' | 'signal' | 'timeout' | 'stop' | 'guest' | 'machine' | 'audit' | 'gate' | 'crash' | 'exec'

/** `runs/ID/run.json` */
export interface RunRecord {
  readonly format: 1
  /** 32 hex digits. */
  readonly id: string
  readonly state: RunState
  /** Image name, or the program's path as typed. */
  readonly program: string
  /** RFC 3339 UTC. */
  readonly started: string
  readonly ended: string | null
  readonly ended_by: EndedBy | null
  readonly exit_code: number | null
  /** The gate's process id and its start time (clock ticks since boot, /proc/PID/stat field 22): a reused pid is not it. */
  readonly gate: { readonly pid: number; readonly start_ticks: string } | null
  readonly policy: string
  readonly isolation: string
  readonly image_sha256: string
}

export function runFolder(runs: string, id: string): string {
  return join(runs, id)
}

export function writeRun(folder: string, record: RunRecord): void {
  writeFileAtomic(join(folder, 'run.json'), `${JSON.stringify(record, null, 2)}\n`)
}

/** Throws CliError `io` when missing or not such a record. */
export function readRun(folder: string): RunRecord {
  const path = join(folder, 'run.json')
  try {
    const record: unknown = JSON.parse(readFileSync(path, 'utf8'))
    if (isRunRecord(record)) return record
  } catch (cause) {
    throw new CliError('io', `${path} cannot be read`, 'the run may have been removed; see `authority runs ls`', { cause })
  }
  throw new CliError('io', `${path} is not a run record this version knows`, 'see `authority runs ls`')
}

function isRunRecord(value: unknown): value is RunRecord {
  if (typeof value !== 'object' || value === null) return false
  const record = value as Record<string, unknown>
  return record.format === 1 && typeof record.id === 'string' && ['starting', 'running', 'ended'].includes(String(record.state))
}

/** Start time of a process in clock ticks since boot, or null when it is gone. */
export function processStartTicks(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may hold spaces and parentheses: fields count from the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // Dead, and only not yet waited for by its parent: under a PID 1 that never does, for ever.
    if (fields[0] === 'Z' || fields[0] === 'X') return null
    return fields[19] ?? null
  } catch {
    return null
  }
}

export function isAlive(record: RunRecord): boolean {
  return record.gate !== null && processStartTicks(record.gate.pid) === record.gate.start_ticks
}
