import { join } from 'node:path'
import type { Adjustment } from '@authority/kernel/audit'
import type { BudgetRow } from '@authority/kernel/budget'
import { findRun } from '../runs/registry.ts'
import type { Terminal } from '../ui/terminal.ts'
import { columns, safe } from '../ui/text.ts'
import { amountsText, dimensionName, formatCharge } from '../ui/units.ts'
import { type Refusing, refusalsOf, type SharedRefusing, sharedAmong } from './budget-refusals.ts'
import { adjustmentsOf, BUDGET_HEADINGS, budgetCells, budgetLegend, budgetRows, shownRows } from './budget-rows.ts'
import type { Command } from './index.ts'
import { homeOf } from './shared.ts'
import type { BUDGET_SHOW } from './verbs.ts'

export const command: Command<typeof BUDGET_SHOW> = async ({ flags, positionals }, context) => {
  const { terminal } = context
  const home = homeOf(context)
  const { record, folder } = findRun(home, positionals[0] ?? '')
  const refusals = await refusalsOf(join(folder, 'audit'))
  const rows = withRefusals(await budgetRows(record, folder, home), refusals)
  const shared = await sharedAmong(refusals, home)
  const adjustments = adjustmentsOf(record, home).all
  if (flags.json) terminal.json({ run: record.id, rows, shared, adjustments })
  else {
    show(shownRows(rows), terminal)
    showShared(shared, terminal)
    for (const adjustment of adjustments) terminal.out(adjustmentLine(adjustment))
  }
  return 0
}

type Row = BudgetRow & Pick<Refusing, 'refused'>

function withRefusals(rows: readonly BudgetRow[], refusals: readonly Refusing[]): readonly Row[] {
  return rows.map((row) => {
    const by = refusals.find(({ account, dimension }) => account === row.account && dimension === row.dimension)
    return { ...row, refused: by?.refused ?? 0 }
  })
}

function show(rows: readonly Row[], terminal: Terminal): void {
  if (rows.length === 0) return terminal.note('authority: no limits, and nothing was spent')
  const refused = rows.some((row) => row.refused > 0)
  const cells = rows.map((row) => [...budgetCells(row), ...(refused ? [String(row.refused)] : [])])
  for (const line of columns([[...BUDGET_HEADINGS, ...(refused ? ['REFUSED'] : [])], ...cells])) terminal.out(line)
  for (const line of budgetLegend(rows)) terminal.note(`  ${line}`)
  if (refused) terminal.note('  refused: effects for which there was no room')
}

/** What all runs share is told only where it refused this one: what others spend is the operator's to know, and not of this run. */
function showShared(shared: readonly SharedRefusing[], terminal: Terminal): void {
  if (shared.length === 0) return
  const cells = shared.map(({ account, dimension, captured, reserved, free, limit, refused }) => {
    const amount = (value: number | null, none: string): string => (value === null ? none : formatCharge(dimension, value))
    const [spent, leased, left, most] = [amount(captured, ''), amount(reserved, ''), amount(free, '–'), amount(limit, 'none')]
    return [safe(account), dimensionName(dimension), spent, leased, left, most, String(refused)]
  })
  terminal.out('')
  for (const line of columns([['ALL RUNS', 'BUDGET', 'SPENT', 'LEASED', 'FREE', 'LIMIT', 'REFUSED'], ...cells])) terminal.out(line)
  terminal.note('  of all runs together, as it is now: spent by those that ended, leased by those that go on; refused: effects of this run')
}

/** Never silently: what somebody took back stands below what is left. */
function adjustmentLine({ intent, lowered, reason, by_uid }: Adjustment): string {
  return `adjusted: effect ${intent} is charged less by ${amountsText(lowered)}, by uid ${by_uid}: ${safe(reason)}`
}
