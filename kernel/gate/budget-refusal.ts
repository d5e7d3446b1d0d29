import type { NoRoom } from '../audit/types.ts'
import { INSTALLATION_ACCOUNT, isSharedAccount, RUN_ACCOUNT } from '../budget/index.ts'
import type { BudgetRefusal, Refusal } from './judge.ts'

/** Log bytes are a budget like any other (DESIGN 4.5): what the log has no room for is refused as by an account. */
export function logRefusal({ refusal }: NoRoom): BudgetRefusal {
  return { ok: false, account: RUN_ACCOUNT, dimension: 'log_bytes', ...refusal, frozen: false }
}

export function budgetDenial(refusal: BudgetRefusal): Refusal {
  const rule = `budget:${refusal.account}/${refusal.dimension}`
  return { allow: false, code: 'E_BUDGET_EXCEEDED', reason: sentence(refusal), rule, fix: null, question: null }
}

/** For somebody who never heard of accounts: whose budget it is, and how much is left of it. */
function sentence({ account, dimension, limit, available, asked, frozen }: BudgetRefusal): string {
  const whose = ownerOf(account)
  if (frozen) return `the budget of ${whose} is closed: more was used than was reserved (account ${account} is frozen)`
  const budget = `the ${wordsOf(dimension)} budget of ${whose} has no room for this`
  const amount = (value: number): string => (dimension === 'cost_nano_usd' ? dollars(value) : `${value}${unitOf(dimension)}`)
  // Of what runs share the limit here is what this run leased, and the whole is not an agent's to know.
  if (isSharedAccount(account)) return `${budget}: ${amount(asked)} needed, ${amount(available)} left`
  return `${budget}: ${amount(asked)} needed, ${amount(available)} of ${amount(limit)} left`
}

function ownerOf(account: string): string {
  if (account === RUN_ACCOUNT) return 'this run'
  if (account === INSTALLATION_ACCOUNT) return 'all runs together'
  if (isSharedAccount(account)) return `${account.slice(INSTALLATION_ACCOUNT.length + 1)} operations of all runs together`
  if (account.startsWith('class:')) return `${account.slice('class:'.length)} operations of this run`
  return `token ${account.replace(':', ' ')}`
}

const NAMES: Readonly<Record<string, string>> = { cost_nano_usd: 'cost', wall_time_ms: 'wall time', cpu_ms: 'CPU time' }

function wordsOf(dimension: string): string {
  return NAMES[dimension] ?? dimension.replaceAll('_', ' ')
}

function unitOf(dimension: string): string {
  if (dimension.endsWith('_ms')) return ' ms'
  return dimension.includes('bytes') ? ' bytes' : ''
}

const NANO = 1_000_000_000

function dollars(nano: number): string {
  const fraction = String(nano % NANO).padStart(9, '0')
  return `$${Math.floor(nano / NANO)}.${fraction.replace(/0{1,7}$/, '')}`
}
