/** The pattern grammar of policies and capabilities. */
export * from './address.ts'
export * from './connect-pattern.ts'
export * from './host-pattern.ts'
export * from './limits.ts'
export { isName, matchNamePattern, type NamePattern, parseNamePattern } from './name-pattern.ts'
export { literalPathPattern, matchPathGlob, type PathGlob, parsePathGlob, pathSegments } from './path-glob.ts'
export { PatternError } from './pattern-error.ts'
export { compileRules, LOOKED_THROUGH, type LookedThrough, type RuleSet } from './rules.ts'
