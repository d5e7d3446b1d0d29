import { lstatSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Home } from './home.ts'
import { listRuns } from './registry.ts'
import { removeRunForGood } from './remove.ts'
import { isAlive, type RunRecord, runFolder } from './run-record.ts'

/** Something that may go. */
export interface Prunable {
  readonly kind: 'run' | 'unstarted run' | 'cached program' | 'cached image'
  /** Run id or file name. */
  readonly name: string
  readonly paths: readonly string[]
  /** Bytes on disk. */
  readonly bytes: number
}

/** Folders of the cache that are made again without a network. */
const CACHES = [
  ['programs', 'cached program'],
  ['derived', 'cached image'],
] as const
const RUN_ID = /^[0-9a-f]{32}$/
/** ms a run may take from making its folder to its first record. */
const STARTING_MS = 10 * 60_000
const BLOCK_BYTES = 512

export interface PrunePlan {
  readonly items: readonly Prunable[]
  /** Why something stays that could go otherwise; null when nothing does. */
  readonly kept: string | null
}

/** What is older than `olderThanMs` and can go. Never a living run, nor what one may be starting from. */
export function planPrune(home: Home, olderThanMs: number, nowMs: number): PrunePlan {
  const before = nowMs - olderThanMs
  const records = listRuns(home)
  const alive = records.filter((record) => record.state !== 'ended' && isAlive(record))
  const runs = records
    .filter((record) => record.state === 'ended' && endOf(record) <= before)
    .map(({ id }): Prunable => ({ kind: 'run', name: id, paths: [runFolder(home.runs, id)], bytes: bytesOf(runFolder(home.runs, id)) }))
  const unstarted = unstartedRuns(home, records, nowMs)
  const cached = alive.length > 0 ? [] : CACHES.flatMap(([folder, kind]) => oldFiles(join(home.cache, folder), kind, before))
  return {
    items: [...runs, ...unstarted, ...cached],
    kept: alive.length > 0 ? `the cache is kept: ${alive.length} running` : null,
  }
}

export async function prune(home: Home, items: readonly Prunable[]): Promise<void> {
  for (const { kind, name, paths } of items) {
    if (kind === 'run') await removeRunForGood(home, name)
    else for (const path of paths) rmSync(path, { recursive: true, force: true })
  }
}

function endOf(record: RunRecord): number {
  return Date.parse(record.ended ?? record.started)
}

/** Folders that never got a record and no log: their program was stopped before anything began. */
function unstartedRuns(home: Home, records: readonly RunRecord[], nowMs: number): Prunable[] {
  const known = new Set(records.map(({ id }) => id))
  return readdirSync(home.runs)
    .filter((id) => RUN_ID.test(id) && !known.has(id))
    .map((id) => ({ id, path: runFolder(home.runs, id) }))
    .filter(({ path }) => {
      const stat = lstatSync(path, { throwIfNoEntry: false })
      return stat?.isDirectory() === true && nowMs - stat.mtimeMs > STARTING_MS && readdirSync(path).length === 0
    })
    .map(({ id, path }) => ({ kind: 'unstarted run', name: id, paths: [path], bytes: 0 }))
}

/** An image and what vouches for it share a name up to the dot and go together. */
function oldFiles(folder: string, kind: Prunable['kind'], before: number): Prunable[] {
  const stat = lstatSync(folder, { throwIfNoEntry: false })
  if (stat?.isDirectory() !== true) return []
  const files = readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    const file = lstatSync(path, { throwIfNoEntry: false })
    return file?.isFile() === true && file.mtimeMs <= before ? [{ name, path, bytes: file.blocks * BLOCK_BYTES }] : []
  })
  return Object.entries(Object.groupBy(files, ({ name }) => name.split('.')[0] ?? name)).map(([name, group = []]) => ({
    kind,
    name,
    paths: group.map(({ path }) => path),
    bytes: group.reduce((sum, { bytes }) => sum + bytes, 0),
  }))
}

function bytesOf(folder: string): number {
  let bytes = 0
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const stat = lstatSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })
    if (stat?.isFile() === true) bytes += stat.blocks * BLOCK_BYTES
  }
  return bytes
}
