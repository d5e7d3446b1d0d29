import { join } from 'node:path'
import { frameBytesOf, type RecordType, readRecords } from '@authority/kernel/audit'
import {
  type BudgetRow,
  INSTALLATION_ACCOUNT,
  isSharedAccount,
  type LoggedRecord,
  type RunAdjustments,
  replay,
  restoreBudget,
} from '@authority/kernel/budget'
import type { Charges } from '@authority/kernel/vocabulary'
import { readAdjustments } from '../runs/adjustments.ts'
import { connectControl } from '../runs/control-client.ts'
import { withLogBytes } from '../runs/gate/log-bytes.ts'
import type { Home } from '../runs/home.ts'
import { isAlive, type RunRecord } from '../runs/run-record.ts'
import { safe } from '../ui/text.ts'
import { dimensionName, formatCharge } from '../ui/units.ts'

/** What a run has spent: asked of its gate while it lives, added up from its log afterwards. */
export function budgetRows(record: RunRecord, folder: string, home: Home): Promise<readonly BudgetRow[]> {
  return record.state !== 'ended' && isAlive(record)
    ? askGate(folder)
    : replayLog(join(folder, 'audit'), adjustmentsOf(record, home).lowered)
}

/** What an operator took back of a run that is over. */
export function adjustmentsOf({ id }: RunRecord, home: Home): Pick<RunAdjustments, 'all' | 'lowered'> {
  return readAdjustments(join(home.path, 'installation'), [id]).get(id) ?? { all: [], lowered: new Map() }
}

/** A part that was never leased is no budget of this run. */
export function shownRows<Row extends BudgetRow>(rows: readonly Row[]): readonly Row[] {
  return rows.filter(({ account, limit, captured, reserved }) => !isSharedAccount(account) || (limit ?? 0) + captured + reserved > 0)
}

/** What the accounts in the first column are, for whoever sees them first. */
export function budgetLegend(rows: readonly BudgetRow[]): readonly string[] {
  if (rows.every(({ account, reserved }) => account === 'run' && reserved === 0)) return []
  const has = (prefix: string): boolean => rows.some(({ account }) => account.startsWith(prefix))
  return [
    ...(has('run') ? ['run: everything of this run'] : []),
    ...(has('class:') ? ['class:NAME: operations of one kind, which count in run as well'] : []),
    ...(has(INSTALLATION_ACCOUNT)
      ? ['installation: leased of what all runs share (installation:NAME of one kind), see `authority budget limit`']
      : []),
    ...(has('block:') ? ['block:ID: what one block of a capability token allows, see `authority cap show`'] : []),
    ...(rows.some(({ reserved }) => reserved > 0) ? ['held: the most that effects under way may still use'] : []),
  ]
}

export const BUDGET_HEADINGS = ['ACCOUNT', 'BUDGET', 'SPENT', 'HELD', 'LIMIT'] as const

export function budgetCells({ account, dimension, limit, captured, reserved }: BudgetRow): string[] {
  const amount = (value: number): string => formatCharge(dimension, value)
  const most = limit === null ? 'none' : `${amount(limit)}${isSharedAccount(account) ? ' leased' : ''}`
  return [safe(account), dimensionName(dimension), amount(captured), amount(reserved), most]
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
const MOVES: readonly RecordType[] = ['RUN_START', 'LIMIT', 'LEASED', 'INTENT', 'LEASE', 'OUTCOME', 'CLOSE', 'TIME', 'RECOVERED']

/** The audit log is the only durable truth of what was spent; `lowered` is what was taken back since. */
async function replayLog(path: string, lowered: ReadonlyMap<number, Charges>): Promise<readonly BudgetRow[]> {
  const records: LoggedRecord[] = []
  for await (const record of readRecords(path, { types: MOVES })) records.push(record)
  return withLogBytes(restoreBudget(replay(records, lowered)).rows(), frameBytesOf(path))
}
