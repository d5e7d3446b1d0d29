import { parseDuration } from '../config/index.ts'
import { type Prunable, planPrune, prune } from '../runs/prune.ts'
import { reconcileHome } from '../runs/reconcile.ts'
import { columns, count, safe, shortId } from '../ui/text.ts'
import { formatBytes } from '../ui/units.ts'
import type { Command } from './index.ts'
import { homeOf } from './shared.ts'
import type { PRUNE } from './verbs.ts'

const DEFAULT_AGE = '7d'

export const command: Command<typeof PRUNE> = async ({ flags }, context) => {
  const { terminal } = context
  const age = parseDuration(flags['older-than'] ?? DEFAULT_AGE)
  const home = homeOf(context)
  for (const notice of await reconcileHome(home)) terminal.note(`authority: note: ${safe(notice)}`)
  const { items, kept } = planPrune(home, age, Date.now())
  if (!flags['dry-run']) await prune(home, items)
  const bytes = items.reduce((sum, item) => sum + item.bytes, 0)
  if (flags.json)
    terminal.json({ dry_run: flags['dry-run'], bytes, items: items.map(({ kind, name, bytes }) => ({ kind, name, bytes })), kept })
  else {
    for (const line of columns(items.map(row))) terminal.out(line)
    terminal.out(`${flags['dry-run'] ? 'would free' : 'freed'} ${formatBytes(bytes)} (${count(items.length, 'item')})`)
    if (kept !== null) terminal.note(`authority: ${kept}`)
  }
  return 0
}

function row({ kind, name, bytes }: Prunable): string[] {
  return [kind, shortId(name), formatBytes(bytes)]
}
