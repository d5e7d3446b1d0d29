import { join } from 'node:path'
import { ensureInstallation, recoverRun } from '@authority/kernel/audit'
import type { Home } from './home.ts'
import { reconcile, unfinishedRuns } from './registry.ts'

/**
 * Recovers every run whose gate died: its log is cut at the torn tail, what is unknown is charged, and it is sealed. Answers one sentence per run for the operator.
 * A log that is damaged in a way no crash explains is left as it is.
 */
export async function reconcileHome(home: Home): Promise<string[]> {
  if (unfinishedRuns(home).length === 0) return []
  const installation = await ensureInstallation(home.path)
  const notices: string[] = []
  await reconcile(home, async (folder, record) => {
    const id = record.id.slice(0, 12)
    try {
      const recovery = await recoverRun({ path: join(folder, 'audit'), installation })
      // Its gate writes it where we cannot see the process, or somebody else is recovering it at this moment, and tells.
      if (recovery.state === 'live') return false
      const lost = recovery.state === 'recovered' ? recovery.unknownEffects : 0
      const unknown = lost === 0 ? '' : `, ${lost} effects with an unknown outcome are charged in full`
      notices.push(`run ${id} (${record.program}) had crashed; its log is ${recovery.state}${unknown}`)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      notices.push(`run ${id} had crashed and its log cannot be recovered: ${message} Look with \`authority audit verify ${id}\``)
    }
    return true
  })
  return notices
}
