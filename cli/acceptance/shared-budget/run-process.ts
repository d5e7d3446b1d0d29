/** One run of several, as far as its money goes: joins the installation's budget, asks for COUNT times AMOUNT at once, spends what it gets. Prints how often it got it. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { ensureInstallation, openRunLog } from '@authority/kernel/audit'
import { createBudgetStage } from '@authority/kernel/budget'
import { joinSharedBudget } from '../../runs/gate/shared-budget.ts'

const [home = '', run = '', count = '0', amount = '0', ending = 'end'] = process.argv.slice(2)
const installation = await ensureInstallation(home)
const folder = join(home, 'runs', run)
mkdirSync(folder, { recursive: true, mode: 0o700 })
const audit = await openRunLog({
  path: join(folder, 'audit'),
  installation,
  start: {
    type: 'RUN_START',
    run,
    installation: installation.id,
    build: 'test',
    operator_uid: 0,
    policy: 'test',
    policy_source: 'test',
    isolation: 'none',
    limits: [],
    detail: {},
  },
})
const budget = createBudgetStage()
const share = await joinSharedBudget({ installation, runs: join(home, 'runs'), run, budget, audit, cpus: null, onMark: () => undefined })
if (share === null) throw new Error('the installation has no budget')

const granted = await Promise.all(Array.from({ length: Number(count) }, spendOnce))
if (ending === 'die') {
  console.log(granted.filter(Boolean).length)
  process.kill(process.pid, 'SIGKILL')
}
await audit.seal({ type: 'RUN_END', ended_by: 'agent', exit_code: 0, effects: 0, denials: 0, spent: {} })
await share.end()
console.log(granted.filter(Boolean).length)

/** The records and steps of the gate's pipeline, without an effect. */
async function spendOnce(): Promise<boolean> {
  const charges = { cost_nano_usd: Number(amount), ...(share?.shares('concurrency') === true ? { concurrency: 1 } : {}) }
  const taken = await budget.reserveShared(['run'], charges)
  if (!taken.ok) return false
  const { reservation } = taken
  const { accounts } = reservation
  const intent = audit.append({
    type: 'INTENT',
    op: 'infer.chat',
    session: 'socket:1',
    action: 'infer',
    object: 'm',
    requested: 'm',
    rule: null,
    policy: 'test',
    blocks: [],
    accounts,
    reserve: charges,
  })
  await audit.durable()
  budget.settle(reservation, charges)
  audit.append({ type: 'OUTCOME', intent, status: 'ok', captured: { cost_nano_usd: Number(amount) } })
  await audit.durable()
  return true
}
