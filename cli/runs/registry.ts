import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { CliError } from './errors.ts'
import { type Home, syncFolder, syncFolderIfReadable } from './home.ts'
import { isAlive, type RunRecord, readRun, runFolder, writeRun } from './run-record.ts'

const RUN_ID = /^[0-9a-f]{32}$/
const PREFIX = /^[0-9a-f]{1,32}$/

/** Makes `runs/ID/` for a fresh id. What a log in it says is durable only with the way to it: another process may have made the folders above this moment. */
export function createRunFolder(home: Home, id: string): string {
  const folder = runFolder(home.runs, id)
  mkdirSync(folder, { mode: 0o700 })
  for (const above of [home.runs, home.path]) syncFolder(above)
  // Only where it can be read it may be ours to have made.
  syncFolderIfReadable(dirname(home.path))
  return folder
}

/** All runs, newest first. A folder without a readable record is left out. */
export function listRuns(home: Home): RunRecord[] {
  const records: RunRecord[] = []
  for (const id of readdirSync(home.runs)) {
    if (!RUN_ID.test(id)) continue
    try {
      records.push(readRun(runFolder(home.runs, id)))
    } catch {}
  }
  return records.sort((a, b) => (a.started < b.started ? 1 : -1))
}

/** The run of a unique prefix. Throws CliError. `last` is the newest. */
export function findRun(home: Home, prefix: string): { readonly record: RunRecord; readonly folder: string } {
  if (prefix === 'last') {
    const newest = listRuns(home)[0]
    if (newest === undefined) throw new CliError('not_found', 'there are no runs yet', 'start one with `authority run`', { exitCode: 64 })
    return { record: newest, folder: runFolder(home.runs, newest.id) }
  }
  const matches = PREFIX.test(prefix) ? readdirSync(home.runs).filter((id) => RUN_ID.test(id) && id.startsWith(prefix)) : []
  const [id, another] = matches
  if (id === undefined) throw new CliError('not_found', `no run \`${prefix}\``, '`authority runs ls` lists them', { exitCode: 64 })
  if (another !== undefined) throw new CliError('usage', `\`${prefix}\` is the beginning of ${matches.length} runs`, 'type more of the id')
  const folder = runFolder(home.runs, id)
  return { record: readRun(folder), folder }
}

/** Removes an ended run, its log included. */
export function removeRun(home: Home, id: string): void {
  const { record, folder } = findRun(home, id)
  if (record.state !== 'ended' && isAlive(record))
    throw new CliError('usage', `run ${record.id.slice(0, 12)} is still going`, `authority stop ${record.id.slice(0, 12)}`)
  rmSync(folder, { recursive: true, force: true })
}

/** Runs whose gate is gone but which never ended. */
export function unfinishedRuns(home: Home): RunRecord[] {
  return listRuns(home).filter((record) => record.state !== 'ended' && !isAlive(record))
}

/** Takes away the folder of a run that failed before its log began; anything that was recorded stays. */
export function discardUnstarted(home: Home, id: string): void {
  const folder = runFolder(home.runs, id)
  if (!existsSync(join(folder, 'run.json')) && !existsSync(join(folder, 'audit'))) rmSync(folder, { recursive: true, force: true })
}

/** What a crash left behind: runs whose gate is gone but which never ended. `recover` repairs the log and says whether the run is over: not while somebody else has its log. */
export async function reconcile(home: Home, recover: (folder: string, record: RunRecord) => Promise<boolean>): Promise<RunRecord[]> {
  const repaired: RunRecord[] = []
  for (const record of unfinishedRuns(home)) {
    const folder = runFolder(home.runs, record.id)
    if (!(await recover(folder, record))) continue
    removeLeftovers(folder)
    const ended: RunRecord = { ...record, state: 'ended', ended: new Date().toISOString(), ended_by: 'crash', exit_code: 125 }
    writeRun(folder, ended)
    repaired.push(ended)
  }
  return repaired
}

/** Sockets, token and scratch of a run that is over. */
export function removeLeftovers(folder: string): void {
  for (const name of ['control.sock', 'gate.sock', 'token', 'ports', 'scratch']) {
    const path = join(folder, name)
    if (existsSync(path)) rmSync(path, { recursive: true, force: true })
  }
}
