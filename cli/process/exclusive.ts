import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { AuthorityError } from '@authority/protocol'
import { EXCLUSIVE_DEADLINE_MS, EXCLUSIVE_POLL_MS } from './limits.ts'

/** Adapter: one process at a time does a piece of work, others wait for it: two first runs must not fetch the same kernel into the same folder. */

/**
 * Holds `path` while `work` runs. A holder that died does not count: the file names its process and when that began. The file's folder must exist.
 * Throws E_TIMEOUT when another holds it longer than the deadline.
 */
export async function exclusively<T>(path: string, work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + EXCLUSIVE_DEADLINE_MS
  while (!take(path)) {
    if (performance.now() > deadline) {
      throw new AuthorityError(
        'E_TIMEOUT',
        `another authority (process ${holderOf(path)?.pid ?? 'unknown'}) has held ${path} for ${EXCLUSIVE_DEADLINE_MS / 60_000} minutes`,
        {
          hint: 'look at what it is doing; if there is no such process, remove the file',
        },
      )
    }
    await Bun.sleep(EXCLUSIVE_POLL_MS)
  }
  try {
    return await work()
  } finally {
    rmSync(path, { force: true })
  }
}

function take(path: string): boolean {
  try {
    const file = openSync(path, 'wx', 0o600)
    writeSync(file, `${process.pid} ${startOf(process.pid) ?? ''}\n`)
    closeSync(file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
      throw new AuthorityError('E_IO', `cannot make ${path}: ${(error as Error).message}`)
    const holder = holderOf(path)
    // Its holder died in the middle: whatever it made is made whole by rename, so the next one may begin.
    if (holder !== null && startOf(holder.pid) !== holder.start) rmSync(path, { force: true })
    return false
  }
}

function holderOf(path: string): { readonly pid: number; readonly start: string } | null {
  try {
    const match = /^(\d{1,10}) (\d*)\n$/.exec(readFileSync(path, 'utf8'))
    return match === null ? null : { pid: Number(match[1]), start: match[2] ?? '' }
  } catch {
    return null
  }
}

/** Start of a process in clock ticks since boot (/proc/PID/stat field 22), null when there is none: a reused number is another process. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
  } catch {
    return null
  }
}
