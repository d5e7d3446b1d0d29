import { blockRules } from '../patterns/index.ts'
import type { CompileRules } from './rules.ts'

/** The policy's own pattern grammar, for the stage's `compile`. */
export const patternRules: CompileRules = blockRules
