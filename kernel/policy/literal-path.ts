import { parsePathGlob } from '../patterns/index.ts'

/** The one path a rule without wildcards and alternatives stands for, or null when it is not such a rule. Throws PatternError. */
export function literalPathOf(rule: string): string | null {
  const [only, ...others] = parsePathGlob(rule).alternatives
  return only?.literal === true && others.length === 0 ? only.base : null
}
