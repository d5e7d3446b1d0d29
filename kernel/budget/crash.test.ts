import { describe, expect, test } from 'vitest'
import type { InstallationRecord } from '../audit/installation-records.ts'
import type { RecordBody } from '../audit/types.ts'
import { Pool } from './pool.ts'
import { INSTALLATION_ACCOUNT } from './pool-keys.ts'
import { PoolShare } from './pool-share.ts'
import { type LoggedRecord, replay, restoreBudget } from './replay.ts'
import { createBudgetStage } from './stage.ts'

/**
 * The gate dies after any step of leasing, reserving, executing and settling. What is on disk then is a prefix of both logs; what happened in the world is
 * what had begun. Whatever the step: everything that happened is charged, and nothing beyond what was leased.
 */
const RUN = 'a'.repeat(32)
const LIMIT = 40
const COST = 3

interface Moment {
  readonly step: string
  readonly run: readonly RecordBody[]
  readonly installation: readonly InstallationRecord[]
  /** Effects the world has seen. */
  readonly happened: number
}

/** Every moment in the life of a run that does `effects` effects, each moment a place to die. */
async function lifeOf(effects: number, outcomes: 'ok' | 'void' | 'mixed'): Promise<readonly Moment[]> {
  const run: RecordBody[] = []
  const installation: InstallationRecord[] = [{ type: 'BUDGET_LIMITS', limits: { calls: LIMIT }, by_uid: 0 }]
  const moments: Moment[] = []
  let happened = 0
  const die = (step: string): void => void moments.push({ step, run: [...run], installation: [...installation], happened })
  const budget = createBudgetStage()
  const share = await PoolShare.open({
    log: {
      transact: async (see, decide) => {
        installation.forEach(see)
        const record = decide()
        if (record === null) return null
        die(`before ${record.type}`)
        installation.push(record)
        die(`after ${record.type}`)
        return installation.length - 1
      },
    },
    run: RUN,
    budget,
    cpus: null,
    onLease: (leased) => {
      run.push({ type: 'LEASED', leased })
      die('after LEASED')
    },
  })
  if (share === null) throw new Error('there is a shared budget')
  budget.join(share)
  for (let i = 0; i < effects; i++) {
    const taken = await budget.reserveShared(['run'], { calls: COST })
    die('after reserve')
    if (!taken.ok) break
    const { reservation } = taken
    const intent = run.push(intentOf(reservation.accounts)) - 1
    die('after INTENT')
    const isVoid = outcomes === 'void' || (outcomes === 'mixed' && i % 2 === 1)
    if (isVoid) budget.void(reservation)
    else {
      happened += 1
      die('after execute')
      budget.settle(reservation, { calls: COST })
    }
    run.push({ type: 'OUTCOME', intent, status: isVoid ? 'void' : 'ok', captured: isVoid ? {} : { calls: COST } })
    die('after OUTCOME')
  }
  await share.end()
  die('after the end')
  return moments
}

function intentOf(accounts: readonly string[]): RecordBody {
  return {
    type: 'INTENT',
    op: 'tool.call',
    session: 's',
    action: 'tools',
    object: 't',
    requested: 't',
    rule: null,
    policy: 'p',
    blocks: [],
    accounts,
    reserve: { calls: COST },
  }
}

const numbered = (records: readonly RecordBody[]): LoggedRecord[] => records.map((record, seq) => ({ ...record, seq }))

describe.each(['ok', 'void', 'mixed'] as const)('a gate that dies at any step, its effects %s', (outcomes) => {
  test('is charged for everything that happened, and never for more than it leased', async () => {
    const moments = await lifeOf(20, outcomes)
    expect(new Set(moments.map(({ step }) => step)).size).toBeGreaterThan(5)
    for (const { step, run, installation, happened } of moments) {
      const { spent, unknown } = replay(numbered(run))
      const charged = spent.get(INSTALLATION_ACCOUNT)?.calls ?? 0
      expect(charged, step).toBeGreaterThanOrEqual(happened * COST)
      expect(charged, step).toBeLessThanOrEqual(happened * COST + unknown.length * COST)
      const pool = new Pool()
      for (const record of installation) pool.add(record)
      const leased = pool.leasedBy(RUN)
      if (leased !== null) expect(charged, step).toBeLessThanOrEqual(leased.calls ?? 0)
      expect(pool.counted.calls ?? 0, step).toBeGreaterThanOrEqual(happened * COST)
      expect(pool.counted.calls ?? 0, step).toBeLessThanOrEqual(LIMIT)
      // Recovered: the lease ends, and what is left may be leased by the next.
      pool.add({ type: 'BUDGET_SPENT', run: RUN, spent: { calls: charged } })
      expect(pool.free('calls'), step).toBe(LIMIT - Math.max(charged, leased === null ? (pool.counted.calls ?? 0) : 0))
    }
  })

  test('and a stage restored from what it left allows no more than what it left', async () => {
    for (const { run, happened } of await lifeOf(20, outcomes)) {
      const restored = restoreBudget(replay(numbered(run)), { limits: { calls: LIMIT } })
      expect(restored.available(['run'], 'calls')).toBeLessThanOrEqual(LIMIT - happened * COST)
    }
  })
})

test('void after execution is not the agent’s to ask for: an intent without an outcome is charged in full', () => {
  const { spent, unknown } = replay(numbered([intentOf(['run'])]))
  expect(spent.get('run')).toEqual({ calls: COST })
  expect(unknown).toEqual([0])
})
