import type { BudgetMark } from '../run-spec.ts'

/** What an operator reads of soft marks: of those that one effect passed at once (a limit of one call passes three) the highest. The log has each. */
export function highestAtOnce(tell: (mark: BudgetMark) => void): (mark: BudgetMark) => void {
  const passed = new Map<string, BudgetMark>()
  return (mark) => {
    if (passed.size === 0)
      queueMicrotask(() => {
        const highest = [...passed.values()]
        passed.clear()
        for (const one of highest) tell(one)
      })
    // They come in ascending order.
    passed.set(`${mark.account} ${mark.dimension}`, mark)
  }
}
