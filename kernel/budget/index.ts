/** What others may import of the budget stage. */
export { classAccount, limitsByAccount, OPERATION_CLASSES } from './classes.ts'
export { SLICE_MS, SOFT_MARKS } from './limits.ts'
export type { OnMark } from './marks.ts'
export { type LoggedRecord, type Replayed, replay, restoreBudget } from './replay.ts'
export { createTimeSlices, type TimeOptions, type TimeSlices, type TimeTick } from './slices.ts'
export { type BudgetOptions, createBudgetStage, RUN_ACCOUNT } from './stage.ts'
export type { AccountName, BudgetRow, BudgetStage, Reservation, ReserveResult } from './types.ts'
