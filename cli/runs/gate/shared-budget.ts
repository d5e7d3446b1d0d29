import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Installation, type RecordType, type RunLog, readRecords } from '@authority/kernel/audit'
import {
  type BudgetStage,
  type LoggedRecord,
  type OnMark,
  POOL_KEYS,
  Pool,
  type PoolLog,
  PoolShare,
  poolBudget,
  replay,
  TIME_DIMENSIONS,
} from '@authority/kernel/budget'
import type { SharedAmounts } from '@authority/kernel/vocabulary'

/** The installation log as a share sees it: only segments that may hold something new are read again. */
export function poolLogOf(installation: Installation): PoolLog {
  let from = 0
  return {
    transact: async (see, decide) => {
      const { segment, seq } = await installation.transact(from, see, decide)
      from = segment
      return seq
    },
  }
}

/** Charges every effect of the run to the installation's budget as well, where it has one. What ended runs still hold of it is settled first. */
export async function joinSharedBudget(options: {
  readonly installation: Installation
  /** Folder of all runs. */
  readonly runs: string
  readonly run: string
  readonly budget: BudgetStage
  readonly audit: RunLog
  /** Of its machine; null: it has none, and its CPU time is not measured. */
  readonly cpus: number | null
  readonly onMark: OnMark
}): Promise<PoolShare | null> {
  const { installation, runs, run, budget, audit, cpus, onMark } = options
  await settleEndedRuns(installation, runs)
  const share = await PoolShare.open({
    log: poolLogOf(installation),
    run,
    budget,
    cpus,
    onMark,
    onLease: (leased) => void audit.append({ type: 'LEASED', leased }),
  })
  if (share !== null) budget.join(share)
  return share
}

/** The shared budget as the installation log has it now. */
export async function readPool(installation: Installation): Promise<Pool> {
  const pool = new Pool()
  await installation.transact(
    0,
    (record) => pool.add(record),
    () => null,
  )
  return pool
}

/** A run that died keeps its lease until its log is recovered and sealed; then what the log says is what it spent. A log that is gone or cannot be read counts in full. */
export async function settleEndedRuns(installation: Installation, runs: string): Promise<void> {
  const pool = await readPool(installation)
  for (const run of pool.runs) {
    const noted = await installation.lastNoted(run)
    const log = join(runs, run, 'audit')
    if (noted?.sealed !== true || !existsSync(log)) continue
    const spent = await spentOf(log, pool.leasedBy(run) ?? {})
    if (spent !== null) await endLease(installation, run, spent)
  }
}

/** Once: another gate, or the run itself between its seal and its end, may have done so since its log was read. */
async function endLease(installation: Installation, run: string, spent: SharedAmounts): Promise<void> {
  const pool = new Pool()
  await installation.transact(
    0,
    (record) => pool.add(record),
    () => (pool.leasedBy(run) === null ? null : { type: 'BUDGET_SPENT', run, spent }),
  )
}

/** What moves the account. */
const MOVES: readonly RecordType[] = ['RUN_START', 'LEASED', 'INTENT', 'LEASE', 'OUTCOME', 'CLOSE', 'TIME', 'RECOVERED']

async function spentOf(log: string, leased: SharedAmounts): Promise<SharedAmounts | null> {
  try {
    const records: LoggedRecord[] = []
    for await (const record of readRecords(log, { types: MOVES })) records.push(record)
    const accounts = replay(records).spent
    const spent = POOL_KEYS.flatMap((key) => {
      const { account, dimension } = poolBudget(key)
      const amount = accounts.get(account)?.[dimension]
      return amount === undefined || !(key in leased) ? [] : [[key, amount] as const]
    })
    return { ...Object.fromEntries(spent), ...(died(records) ? timeOf(leased) : {}) }
  } catch {
    return null
  }
}

function died(records: readonly LoggedRecord[]): boolean {
  return records.some(({ type }) => type === 'RECOVERED')
}

/** How much passed after the last TIME record of a run that died is not known: it pays for all it had leased. */
function timeOf(leased: SharedAmounts): SharedAmounts {
  return Object.fromEntries(TIME_DIMENSIONS.flatMap((dimension) => (dimension in leased ? [[dimension, leased[dimension] ?? 0]] : [])))
}
