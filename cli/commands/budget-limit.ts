import { ensureInstallation } from '@authority/kernel/audit'
import { POOL_DIMENSIONS, POOL_KEYS, type Pool } from '@authority/kernel/budget'
import { CliError } from '../runs/errors.ts'
import { readPool } from '../runs/gate/shared-budget.ts'
import { columns } from '../ui/text.ts'
import { dimensionName, formatCharge } from '../ui/units.ts'
import { parseBudgets } from './budgets.ts'
import type { Command } from './index.ts'
import { homeOf } from './shared.ts'
import type { BUDGET_LIMIT } from './verbs-cap.ts'

export const command: Command<typeof BUDGET_LIMIT> = async ({ flags }, context) => {
  const { terminal } = context
  if (flags.none && flags.budget.length > 0) throw new CliError('usage', '--none and --budget say two things', 'use one of them')
  const limits = parseBudgets(flags.budget)
  for (const key of Object.keys(limits))
    if (!(POOL_KEYS as readonly string[]).includes(key))
      throw new CliError(
        'usage',
        `${dimensionName(key)} is a budget of each run, not of all together`,
        `runs share ${POOL_DIMENSIONS.map(dimensionName).join(', ')}; limit ${dimensionName(key)} with --budget of \`run\`, or in a policy`,
      )
  const installation = await ensureInstallation(homeOf(context).path)
  if (flags.none || flags.budget.length > 0) await installation.note({ type: 'BUDGET_LIMITS', limits, by_uid: process.getuid?.() ?? 0 })
  const pool = await readPool(installation)
  if (flags.json) terminal.json({ limits: pool.limits, counted: pool.counted, runs: pool.runs })
  else for (const line of table(pool)) terminal.out(line)
  return 0
}

function table(pool: Pool): readonly string[] {
  const rows = POOL_KEYS.flatMap((key) => {
    const limit = pool.limits[key]
    if (limit === undefined) return []
    const used = pool.counted[key] ?? 0
    const left = Math.max(0, limit - used)
    return [[dimensionName(key), ...[used, left, limit].map((amount) => formatCharge(key, amount))]]
  })
  if (rows.length === 0)
    return ['no limits: each run has its own budget only', 'for example: authority budget limit --budget cost=$50 --budget net.calls=1000']
  const held = pool.runs.length
  return [
    ...columns([['BUDGET', 'USED', 'LEFT', 'LIMIT'], ...rows]),
    held === 0
      ? 'used is what runs that ended spent; no run holds a part of it now'
      : `used is what runs that ended spent, and what ${held === 1 ? 'one run has' : `${held} runs have`} leased: they give back what they do not need. A run that died gives back when the next begins.`,
  ]
}
