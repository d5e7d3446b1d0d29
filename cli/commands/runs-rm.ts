import { reconcileHome } from '../runs/reconcile.ts'
import { findRun } from '../runs/registry.ts'
import { removeRunForGood } from '../runs/remove.ts'
import { safe, shortId } from '../ui/text.ts'
import type { Command } from './index.ts'
import { homeOf } from './shared.ts'
import type { RUNS_RM } from './verbs.ts'

export const command: Command<typeof RUNS_RM> = async ({ flags, positionals }, context) => {
  const { terminal } = context
  const home = homeOf(context)
  for (const notice of await reconcileHome(home)) terminal.note(`authority: note: ${safe(notice)}`)
  // All are looked up before the first goes: a mistake in the last must not cost the others.
  const ids = [...new Set(positionals.map((prefix) => findRun(home, prefix).record.id))]
  for (const id of ids) {
    await removeRunForGood(home, id)
    if (!flags.json) terminal.out(`removed ${shortId(id)}`)
  }
  if (flags.json) terminal.json({ removed: ids })
  return 0
}
