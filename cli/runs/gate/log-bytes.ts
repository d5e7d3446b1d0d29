import type { BudgetRow } from '@authority/kernel/budget'

/** The log counts its own bytes; where the run has a budget of them, it is told with the others. */
export function withLogBytes(rows: readonly BudgetRow[], frameBytes: number): readonly BudgetRow[] {
  return rows.map((row) => (row.account === 'run' && row.dimension === 'log_bytes' ? { ...row, captured: frameBytes } : row))
}
