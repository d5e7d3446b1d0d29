import { ensureInstallation } from '@authority/kernel/audit'
import { CliError } from './errors.ts'
import type { Home } from './home.ts'
import { findRun, removeRun } from './registry.ts'
import { isAlive } from './run-record.ts'

/** Removes an ended run with its log. The installation log says so first, durably: a log that is simply gone is tampering. Throws CliError for a living run. */
export async function removeRunForGood(home: Home, id: string): Promise<void> {
  const { record } = findRun(home, id)
  if (record.state !== 'ended' && isAlive(record))
    throw new CliError('usage', `run ${id.slice(0, 12)} is still going`, `authority stop ${id.slice(0, 12)}`)
  const installation = await ensureInstallation(home.path)
  await installation.note({ type: 'RUN_REMOVED', run: record.id, by_uid: process.getuid?.() ?? 0 })
  removeRun(home, id)
}
