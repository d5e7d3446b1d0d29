import { existsSync } from 'node:fs'
import { type InstallationRecord, readPayloads } from '@authority/kernel/audit'
import { RunAdjustments } from '@authority/kernel/budget'
import { AuthorityError } from '@authority/protocol'

/** What operators took back of these runs, as far as the installation log in `folder` can be read: what cannot be read takes nothing back. Throws E_AUDIT. */
export function readAdjustments(folder: string, runs: readonly string[]): ReadonlyMap<string, RunAdjustments> {
  const byRun = new Map(runs.map((run) => [run, new RunAdjustments(run)]))
  if (byRun.size === 0 || !existsSync(folder)) return byRun
  const decoder = new TextDecoder()
  for (const payload of readPayloads(folder)) {
    const record = JSON.parse(decoder.decode(payload)) as InstallationRecord
    if (!record.type.startsWith('BUDGET_')) continue
    try {
      for (const adjustments of byRun.values()) adjustments.add(record)
    } catch (error) {
      throw new AuthorityError('E_AUDIT', `the installation log in ${folder} has a record that is none: ${message(error)}`)
    }
  }
  return byRun
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
