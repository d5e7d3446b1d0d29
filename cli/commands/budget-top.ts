import { type BudgetRow, isSharedAccount } from '@authority/kernel/budget'
import { findRun } from '../runs/registry.ts'
import { isAlive, readRun } from '../runs/run-record.ts'
import { columns, shortId } from '../ui/text.ts'
import { BUDGET_HEADINGS, budgetCells, budgetRows, shownRows } from './budget-rows.ts'
import type { Command } from './index.ts'
import { homeOf } from './shared.ts'
import type { BUDGET_TOP } from './verbs-cap.ts'

/** ms between two looks. */
const LOOK_MS = 1_000
const CLEAR = '\x1b[H\x1b[2J'

export const command: Command<typeof BUDGET_TOP> = async ({ flags, positionals }, context) => {
  const { terminal } = context
  const home = homeOf(context)
  const { record, folder } = findRun(home, positionals[0] ?? '')
  for (let now = record; ; now = readRun(folder)) {
    const rows = [...(await budgetRows(now, folder, home))].sort((a, b) => fullness(b) - fullness(a) || b.captured - a.captured)
    if (flags.json) terminal.json({ run: now.id, rows: rows.map((row) => ({ ...row, used: fullness(row) < 0 ? null : fullness(row) })) })
    const again = !flags.once && !flags.json && terminal.isTty.out
    if (!flags.json) {
      if (again) terminal.raw(Buffer.from(CLEAR))
      terminal.out(`run ${shortId(now.id)}, ${now.state}`)
      for (const line of columns([['USED', ...BUDGET_HEADINGS], ...shownRows(rows).map((row) => [percent(row), ...budgetCells(row)])]))
        terminal.out(line)
    }
    if (!again || now.state === 'ended' || !isAlive(now)) return 0
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
}

/** Spent and held against the limit; without one, emptiest. Of what was leased there may be more. */
function fullness({ account, limit, captured, reserved }: BudgetRow): number {
  if (limit === null || isSharedAccount(account)) return -1
  return limit === 0 ? 1 : (captured + reserved) / limit
}

function percent(row: BudgetRow): string {
  const used = fullness(row)
  return used < 0 ? '–' : `${Math.floor(used * 100)} %`
}
