import type { Charges, Dimension } from '../../vocabulary/index.ts'
import { MIN_LEASE_BYTES, READ_LEASE_BYTES, WRITE_LEASE_BYTES } from './limits.ts'

/**
 * The lease an opening reserves: what the file can need at first, and never so much of a small budget that a few idle handles use it up.
 * @param available bytes the tightest account still has; Infinity when unlimited
 * A lease that runs out is renewed by a record of its own, so this bounds nothing but how often that happens.
 */
export function openingCharges(reads: boolean, writes: boolean, size: number, available: (dimension: Dimension) => number): Charges {
  const reading = reads ? Math.min(Math.max(size, MIN_LEASE_BYTES), READ_LEASE_BYTES) : 0
  const writing = writes ? WRITE_LEASE_BYTES : 0
  const share = (wanted: number, dimension: Dimension): number => {
    const left = Math.max(0, available(dimension))
    return Math.min(wanted, Math.max(Math.floor(left / 4), Math.min(left, MIN_LEASE_BYTES)))
  }
  return {
    bytes: share(reading + writing, 'bytes'),
    ...(reads ? { bytes_in: share(reading, 'bytes_in') } : {}),
    ...(writes ? { bytes_written: share(writing, 'bytes_written') } : {}),
  }
}
