import { type BudgetStage, RUN_ACCOUNT } from '@authority/kernel/budget'

const CLASS_PREFIX = 'class:'

/** Of the run, and of classes that have limits of their own (`net.calls`). Log bytes are counted by the log: what tokens were charged of them is a part. */
export function runSpending(budget: BudgetStage): Readonly<Record<string, number>> {
  const rows = budget
    .rows()
    .filter(
      ({ account, dimension, captured }) =>
        captured > 0 && dimension !== 'log_bytes' && (account === RUN_ACCOUNT || account.startsWith(CLASS_PREFIX)),
    )
  return Object.fromEntries(
    rows
      .filter(({ account, limit }) => account === RUN_ACCOUNT || limit !== null)
      .map(({ account, dimension, captured }) => [
        account === RUN_ACCOUNT ? dimension : `${account.slice(CLASS_PREFIX.length)}.${dimension}`,
        captured,
      ]),
  )
}
