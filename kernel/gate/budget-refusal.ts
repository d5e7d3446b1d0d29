import type { NoRoom } from '../audit/types.ts'
import { RUN_ACCOUNT } from '../budget/index.ts'
import type { BudgetRefusal, Refusal } from './judge.ts'

/** Log bytes are a budget like any other (DESIGN 4.5): what the log has no room for is refused as by an account. */
export function logRefusal({ refusal }: NoRoom): BudgetRefusal {
  return { ok: false, account: RUN_ACCOUNT, dimension: 'log_bytes', ...refusal, frozen: false }
}

export function budgetDenial({ account, dimension, limit, available, asked, frozen }: BudgetRefusal): Refusal {
  const reason = frozen
    ? `account ${account} is frozen: it was overrun`
    : `the ${dimension} budget of ${account} does not hold it: ${asked} needed, ${available} of ${limit} left`
  return { allow: false, code: 'E_BUDGET_EXCEEDED', reason, rule: `budget:${account}/${dimension}`, fix: null, question: null }
}
