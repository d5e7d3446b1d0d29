import type { Charges, Dimension } from '../../vocabulary/index.ts'
import { FIRST_LEASE_BYTES } from './limits.ts'

/** A connection reserves its first lease; what it moves beyond is reserved before it moves. */
export function connectionWorstCase(available: (dimension: Dimension) => number): Charges {
  const first = (dimension: Dimension): number => Math.min(FIRST_LEASE_BYTES, available(dimension))
  return { bytes: first('bytes'), bytes_in: first('bytes_in'), bytes_out: first('bytes_out') }
}
