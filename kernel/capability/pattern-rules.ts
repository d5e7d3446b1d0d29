import { blockRules, plainPatterns } from '../patterns/index.ts'
import type { Grants } from './types.ts'

/** The policy's own pattern grammar, for the stage's `compile`. */
export const patternRules = Object.assign((grants: Grants) => blockRules(grants), { plain: plainPatterns })
