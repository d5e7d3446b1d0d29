import { join } from 'node:path'
import { type RecordType, readRecords } from '@authority/kernel/audit'
import { type BudgetRow, type LoggedRecord, replay, restoreBudget } from '@authority/kernel/budget'
import { connectControl } from '../runs/control-client.ts'
import { findRun } from '../runs/registry.ts'
import { isAlive } from '../runs/run-record.ts'
import { columns, safe } from '../ui/text.ts'
import { dimensionName, formatCharge } from '../ui/units.ts'
import type { Command } from './index.ts'
import { homeOf } from './shared.ts'
import type { BUDGET_SHOW } from './verbs.ts'

export const command: Command<typeof BUDGET_SHOW> = async ({ flags, positionals }, context) => {
  const { terminal } = context
  const { record, folder } = findRun(homeOf(context), positionals[0] ?? '')
  const rows = record.state !== 'ended' && isAlive(record) ? await askGate(folder) : await replayLog(join(folder, 'audit'))
  if (flags.json) terminal.json({ run: record.id, rows })
  else if (rows.length === 0) terminal.note('authority: no limits, and nothing was spent')
  else for (const line of columns([['ACCOUNT', 'BUDGET', 'SPENT', 'HELD', 'LIMIT'], ...rows.map(cells)])) terminal.out(line)
  return 0
}

function cells({ account, dimension, limit, captured, reserved }: BudgetRow): string[] {
  const amount = (value: number): string => formatCharge(dimension, value)
  return [safe(account), dimensionName(dimension), amount(captured), amount(reserved), limit === null ? 'none' : amount(limit)]
}

async function askGate(folder: string): Promise<readonly BudgetRow[]> {
  const client = await connectControl(folder)
  try {
    const [status] = await client.request('run.status', [])
    return (JSON.parse(String(status)) as { rows: readonly BudgetRow[] }).rows
  } finally {
    client.close()
  }
}

/** What moves an account. */
const MOVES: readonly RecordType[] = ['RUN_START', 'INTENT', 'LEASE', 'OUTCOME', 'CLOSE', 'TIME']

/** The audit log is the only durable truth of what was spent. */
async function replayLog(path: string): Promise<readonly BudgetRow[]> {
  const records: LoggedRecord[] = []
  for await (const record of readRecords(path, { types: MOVES })) records.push(record)
  return restoreBudget(replay(records)).rows()
}
