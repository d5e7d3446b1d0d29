import { MAX_HISTORY_POINTS } from '@authority/protocol'
import { BYTE_WAYS, type Dimension } from '../vocabulary/index.ts'

/** Every bound of the budget stage. */

/** Greatest amount of anything: above it a number is not exact any more. */
export const MAX_AMOUNT = Number.MAX_SAFE_INTEGER
/** Accounts a run keeps; those without limits and without open reservations make room first. */
export const MAX_ACCOUNTS = 16_384
/** Accounts one reservation may be charged to: the run and every block of a token, with room for the installation. */
export const MAX_PATH = 32
/** Reservations open at once: some 200 bytes each. */
export const MAX_OPEN_RESERVATIONS = 1 << 18
/** Part of what the run may have open that one token's first block may have, and each further block of what the one before may: whoever holds on to everything leaves the others the rest. */
export const OPEN_OF_BLOCK = 3 / 4
/** UTF-16 units of an account's name. */
export const MAX_ACCOUNT_NAME = 128
/** ms of wall time, and of CPU time per CPU, that one slice reserves: time overshoots by at most one slice. */
export const SLICE_MS = 250
/** Points of the history of one account and dimension: more would not fit an answer to `budget.history`. */
export { MAX_HISTORY_POINTS }
/** ms one point of a history stands for at first; twice as many each time there would be too many points. */
export const HISTORY_BUCKET_MS = 1000
/** Dimensions of accounts whose history has more than one point: some 4 MB. Of one beyond it only when it began and what is spent now is known. */
export const MAX_HISTORIES = 4096
/** Percent of a limit at which a soft mark is told. */
export const SOFT_MARKS = [50, 80, 95] as const
/** Marks of tokens' blocks that are kept for whoever asks later. */
export const MAX_TOKEN_MARKS = 4096
/** What runs of one installation can share: all but the log, which each run has for itself and which says its own end whatever others wrote. */
export const POOL_DIMENSIONS = [
  'calls',
  'tool_calls',
  'tokens',
  'tokens_in',
  'tokens_out',
  'cost_nano_usd',
  'bytes',
  ...BYTE_WAYS,
  'wall_time_ms',
  'cpu_ms',
  'concurrency',
] as const satisfies readonly Dimension[]
/** A lease takes at most this part (1/n) of what is free, unless one effect needs more. */
export const POOL_SHARE = 16
/** Slices that a lease of time takes at least: the next one must be on disk before they have passed. */
export const TIME_LEASE_SLICES = 4
/** ms of wall time, and of CPU time per CPU, that a lease takes at most: a run that dies loses no more. */
export const MAX_TIME_LEASE_MS = 60_000
/** ms of leased time left at which more is leased: as long as the disk and the lock of the installation may take. */
export const TIME_AHEAD_MS = 10_000
/** ms after which places (`concurrency`) that a run did not need go back to the others. */
export const PLACES_WINDOW_MS = 5_000
/** Records by which an operator takes back what effects of one run captured; a verifier keeps them while it reads the run's log again. */
export const MAX_ADJUSTMENTS = 4096
/** Runs that ended last, of which something of what runs share may be taken back: a verifier remembers what each of them spent. */
export const MAX_ADJUSTABLE_RUNS = 16_384
/** Effects of one run that are listed as charged for more than is known. */
export const MAX_ADJUSTABLE_EFFECTS = 10_000
