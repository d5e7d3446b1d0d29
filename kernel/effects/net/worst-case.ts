import type { Charges, Dimension } from '../../vocabulary/index.ts'
import { FIRST_LEASE_BYTES, MIN_LEASE_BYTES } from './limits.ts'

/** A connection reserves its first lease; what it moves beyond is reserved before it moves. */
export function connectionWorstCase(available: (dimension: Dimension) => number): Charges {
  const first = (dimension: Dimension): number => {
    const left = Math.max(0, available(dimension))
    return Math.min(FIRST_LEASE_BYTES, Math.max(Math.floor(left / 4), Math.min(left, MIN_LEASE_BYTES)))
  }
  return { bytes: first('bytes'), bytes_in: first('bytes_in'), bytes_out: first('bytes_out') }
}
