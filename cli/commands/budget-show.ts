import type { BudgetRow } from '@authority/kernel/budget'
import { findRun } from '../runs/registry.ts'
import type { Terminal } from '../ui/terminal.ts'
import { columns } from '../ui/text.ts'
import { BUDGET_HEADINGS, budgetCells, budgetLegend, budgetRows, shownRows } from './budget-rows.ts'
import type { Command } from './index.ts'
import { homeOf } from './shared.ts'
import type { BUDGET_SHOW } from './verbs.ts'

export const command: Command<typeof BUDGET_SHOW> = async ({ flags, positionals }, context) => {
  const { terminal } = context
  const { record, folder } = findRun(homeOf(context), positionals[0] ?? '')
  const rows = await budgetRows(record, folder)
  if (flags.json) terminal.json({ run: record.id, rows })
  else show(shownRows(rows), terminal)
  return 0
}

function show(rows: readonly BudgetRow[], terminal: Terminal): void {
  if (rows.length === 0) return terminal.note('authority: no limits, and nothing was spent')
  for (const line of columns([[...BUDGET_HEADINGS], ...rows.map(budgetCells)])) terminal.out(line)
  for (const line of budgetLegend(rows)) terminal.note(`  ${line}`)
}
