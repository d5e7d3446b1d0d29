/** The words every stage and effect share. No behaviour lives here. */
import type { Action, ErrorCode, OperationName, Via } from '@authority/protocol'

/**
 * One thing that capability and policy must both allow. `fs.look` asks only whether something is there and what its attributes are (lookup, stat, a directory on
 * the way): a rule for looking, reading or changing allows it, for the object itself and for every folder that leads to something the rule could allow.
 * Objects are canonical text: fs.* an absolute guest path without `.`/`..`/empty components; net.dns a lower-case A-label name;
 * net.connect/net.listen `dns:NAME:PORT`, `ip:ADDRESS:PORT` (IPv6 in brackets); tools a tool name; infer a model name.
 */
export interface Question {
  readonly action: Action
  readonly object: string
  /**
   * Only with fs.write: the object is an empty directory that is made or removed (mkdir, rmdir). Some names, such as `.git`, may be made only so: as a file, a link or the target
   * of a rename they would arrive with contents nobody decided.
   */
  readonly makes?: 'directory'
  /** Only with tools: the call's arguments, for rules with conditions. Left out: not known, and no rule with conditions allows. */
  readonly args?: Json
}

/** Who asks. `pid` and `executable` are what init said of a local process: guest-claimed, never used to decide. */
export interface Subject {
  /** Unique in this run: `effects:3`, `fuse:1`, `init`, `socket:2`, `operator:1`. */
  readonly session: string
  readonly via: Via
  readonly pid?: number
  readonly executable?: string
}

/**
 * What can be bounded. `bytes` and `tokens` are totals; by direction: bytes an agent gets (read, received), sends over the network and writes to files. Later
 * dimensions stand last: a token states its limits in this order. Units: `_ms` milliseconds, `_nano_usd` 10⁻⁹ US dollar, `bytes` bytes, else a count. Integers 0…2^53−1 only.
 */
export const DIMENSIONS = [
  'calls',
  'tool_calls',
  'tokens',
  'cost_nano_usd',
  'bytes',
  'wall_time_ms',
  'cpu_ms',
  'concurrency',
  'log_bytes',
  'bytes_in',
  'bytes_out',
  'bytes_written',
  'tokens_in',
  'tokens_out',
] as const
export type Dimension = (typeof DIMENSIONS)[number]
/** Classes of operations, each with budgets of its own: the word before the dot of an operation's name. */
export const OPERATION_CLASSES = ['fs', 'net', 'tool', 'infer', 'state', 'agent'] as const
/** Limits of a run as people write them: `calls` of all of it, `net.calls` of one class. */
export type NamedLimits = Readonly<Record<string, number>>

/** Which way bytes go. */
export const BYTE_WAYS = ['bytes_in', 'bytes_out', 'bytes_written'] as const satisfies readonly Dimension[]
export type ByteWay = (typeof BYTE_WAYS)[number]
export type Charges = Readonly<Partial<Record<Dimension, number>>>
/** What runs share: `calls` of all operations, `net.calls` of one class. */
export type SharedKey = Dimension | `${(typeof OPERATION_CLASSES)[number]}.${Dimension}`
export type SharedAmounts = Readonly<Partial<Record<SharedKey, number>>>

/** JSON a record may hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** Wall clock and monotonic clock, passed in; no stage reads its own. */
export interface Clock {
  /** ms since the epoch. */
  wallMs(): number
  /** ms since an arbitrary start, never goes back. */
  monotonicMs(): number
}

/** Source of unpredictable bytes, passed in. */
export type RandomBytes = (bytes: number) => Uint8Array

export type { Action, ErrorCode, OperationName, Via }
