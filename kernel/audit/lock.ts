/** One writer for one log: flock on its file `lock`, which the kernel lets go of when the process dies. What is written inside is for people. */
import { auditError, ioError } from './errors.ts'
import { checkFile, joinPath, writeFully } from './files.ts'
import type { AuditFs } from './fs.ts'

export const LOCK_FILE = 'lock'

/** Takes the lock and returns what lets it go; null when someone else has it. Throws E_AUDIT for anything else. */
export function tryLock(fs: AuditFs, folder: string, owner: string): (() => void) | null {
  const path = joinPath(folder, LOCK_FILE)
  let fd = -1
  try {
    fd = openOrCreate(fs, path)
    checkFile(fs, fd, path)
    if (!fs.tryLock(fd)) {
      fs.close(fd)
      return null
    }
    const text = new TextEncoder().encode(`${owner}\n`)
    fs.truncate(fd, 0)
    writeFully(fs, fd, text, 0)
  } catch (error) {
    if (fd >= 0) fs.close(fd)
    throw ioError('lock', path, error)
  }
  return () => fs.close(fd)
}

function openOrCreate(fs: AuditFs, path: string): number {
  try {
    return fs.open(path, 'write')
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ENOENT') throw error
  }
  try {
    return fs.open(path, 'create')
  } catch (error) {
    // Another process made it in between.
    if ((error as { code?: unknown }).code !== 'EEXIST') throw error
    return fs.open(path, 'write')
  }
}

/** Waits for the lock until the deadline. */
export async function waitForLock(
  fs: AuditFs,
  folder: string,
  owner: string,
  wait: {
    readonly now: () => number
    readonly pause: (ms: number) => Promise<void>
    readonly deadlineMs: number
    readonly retryMs: number
  },
): Promise<() => void> {
  for (const began = wait.now(); ; ) {
    const unlock = tryLock(fs, folder, owner)
    if (unlock) return unlock
    if (wait.now() - began > wait.deadlineMs)
      throw auditError(
        `The lock of ${folder} was not free within ${wait.deadlineMs} ms.`,
        `Its owner stands in ${joinPath(folder, LOCK_FILE)}: is that run stuck?`,
      )
    await wait.pause(wait.retryMs)
  }
}
