import { join } from 'node:path'
import { reconcileHome } from '../runs/reconcile.ts'
import { findRun } from '../runs/registry.ts'
import { columns, safe } from '../ui/text.ts'
import type { Command } from './index.ts'
import { stateOf } from './runs-ls.ts'
import { homeOf } from './shared.ts'
import type { RUNS_SHOW } from './verbs.ts'

export const command: Command<typeof RUNS_SHOW> = async ({ flags, positionals }, context) => {
  const { terminal } = context
  const home = homeOf(context)
  for (const notice of await reconcileHome(home)) terminal.note(`authority: note: ${safe(notice)}`)
  const { record, folder } = findRun(home, positionals[0] ?? '')
  const audit = join(folder, 'audit')
  if (flags.json) {
    terminal.json({ ...record, audit })
    return 0
  }
  const rows = [
    ['run', record.id],
    ['program', safe(record.program)],
    ['state', stateOf(record)],
    ['started', record.started],
    ['ended', record.ended ?? 'not yet'],
    ['isolation', safe(record.isolation)],
    ['policy', record.policy],
    ['image', record.image_sha256 === '' ? 'none' : record.image_sha256],
    ['log', safe(audit)],
  ]
  for (const line of columns(rows)) terminal.out(line)
  return 0
}
