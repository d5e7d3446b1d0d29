import { type NamedLimits, OPERATION_CLASSES } from '../../vocabulary/index.ts'

/** Totals and the directions they are the sum of. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  bytes: ['bytes_in', 'bytes_out', 'bytes_written'],
  tokens: ['tokens_in', 'tokens_out'],
}

/**
 * The most that limits let be spent of `calls` or `net.calls`, whichever of them says so: the limit itself, the run's for a class, the total's for a direction, and the
 * sum where all the parts are limited. Infinity when nothing does.
 */
export function boundOf(limits: NamedLimits, name: string): number {
  const [scope, dimension] = name.includes('.') ? (name.split('.', 2) as [string, string]) : [null, name]
  const inScope = (within: string | null): number => boundOfDimension(limits, within === null ? '' : `${within}.`, dimension)
  if (scope !== null) return Math.min(inScope(scope), inScope(null))
  return Math.min(inScope(null), sum(OPERATION_CLASSES.map(inScope)))
}

function boundOfDimension(limits: NamedLimits, prefix: string, dimension: string): number {
  const of = (each: string): number => limits[prefix + each] ?? Number.POSITIVE_INFINITY
  const parts = PARTS[dimension]
  if (parts !== undefined) return Math.min(of(dimension), sum(parts.map(of)))
  const total = Object.keys(PARTS).find((each) => PARTS[each]?.includes(dimension))
  return Math.min(of(dimension), total === undefined ? Number.POSITIVE_INFINITY : of(total))
}

function sum(amounts: readonly number[]): number {
  return amounts.reduce((whole, each) => whole + each, 0)
}
