export { attenuate, seal } from './attenuate.ts'
export type { BudgetDimension, Restriction } from './restriction.ts'
