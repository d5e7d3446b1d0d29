import { encode, type WireValue } from '@authority/protocol'
import { CapabilityError } from '../errors.ts'
import { MAX_BLOCKS, MAX_PATTERN_BYTES, MAX_PATTERNS, MAX_RATE_BURST, MAX_RATE_COUNT, MAX_RATE_PERIOD_MS, MAX_TIME_MS } from './limits.ts'

type Patterns = readonly string[]

/** What a token shall be narrowed to. What is not named stays as it was, or is taken away when `closed`. Patterns are those of a policy. */
export interface Restriction {
  readonly fs?: { readonly look?: Patterns; readonly read?: Patterns; readonly write?: Patterns }
  readonly net?: { readonly dns?: Patterns; readonly connect?: Patterns; readonly listen?: Patterns }
  readonly tools?: Patterns
  readonly infer?: Patterns
  /** Sections that are not named allow nothing. */
  readonly closed?: boolean
  /** ms since the epoch. */
  readonly notBefore?: number
  readonly expires?: number
  /** From now on: ms, or a text such as `90s`, `5m`, `1h`, `2d`. Instead of `expires`. */
  readonly ttl?: number | string
  /** Restrictions that may follow this one. */
  readonly delegate?: number
  /** Effects in all. */
  readonly uses?: number
  /** `count` effects per `periodMs`, `burst` of them at once. */
  readonly rate?: { readonly count: number; readonly periodMs: number; readonly burst: number }
  /** Sub-limits: tokens, bytes, milliseconds, 10⁻⁹ US dollar. */
  readonly budget?: Readonly<Partial<Record<BudgetDimension, number>>>
}

export type BudgetDimension = (typeof DIMENSIONS)[number]

const DIMENSIONS = [
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
const FS = ['read', 'write'] as const
const NET = ['dns', 'connect', 'listen'] as const
const KEYS = ['fs', 'net', 'tools', 'infer', 'closed', 'notBefore', 'expires', 'ttl', 'delegate', 'uses', 'rate', 'budget']
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

type Own = ReadonlyMap<string, unknown>

/** The payload of a RESTRICT block. Throws E_CAP_INVALID for an unknown key, since what is misspelt would restrict nothing, and for values no gate takes. */
export function encodeRestriction(value: Restriction, nowMs: number): Uint8Array {
  const own = ownEntries(value, 'the restriction', KEYS)
  if (own.size === 0) throw unusable('the restriction restricts nothing')
  const closed = own.get('closed') ?? false
  if (typeof closed !== 'boolean') throw unusable('closed is not true or false')
  const fs = ownEntries(own.get('fs') ?? {}, 'fs', [...FS, 'look'])
  const net = ownEntries(own.get('net') ?? {}, 'net', NET)
  const payload: WireValue[] = [
    closed,
    ...FS.map((name) => patterns(fs.get(name), `fs.${name}`)),
    ...NET.map((name) => patterns(net.get(name), `net.${name}`)),
    patterns(own.get('tools'), 'tools'),
    patterns(own.get('infer'), 'infer'),
    integer(own, 'notBefore', 0, MAX_TIME_MS),
    own.has('ttl') ? expiryOf(own, nowMs) : integer(own, 'expires', 0, MAX_TIME_MS),
    integer(own, 'delegate', 0, MAX_BLOCKS - 1),
    integer(own, 'uses', 0, Number.MAX_SAFE_INTEGER),
    rate(own.get('rate')),
    budget(own.get('budget')),
    // Added later: it stands last, and only where it is given.
    ...(fs.has('look') ? [patterns(fs.get('look'), 'fs.look')] : []),
  ]
  try {
    return encode(payload)
  } catch (cause) {
    throw unusable('a value the format cannot hold', cause)
  }
}

function expiryOf(own: Own, nowMs: number): number {
  if (own.has('expires')) throw unusable('ttl and expires both say when it ends')
  const ttl = own.get('ttl')
  const match = typeof ttl === 'string' ? /^(\d{1,12})(ms|s|m|h|d)$/.exec(ttl) : null
  const ms = match === null ? ttl : Number(match[1]) * (UNIT_MS[match[2] ?? ''] ?? Number.NaN)
  if (typeof ms !== 'number' || !Number.isSafeInteger(ms) || ms < 1) throw unusable('ttl is neither ms nor a time such as 90s, 5m, 1h')
  return Math.min(nowMs + ms, MAX_TIME_MS)
}

function patterns(value: unknown, name: string): WireValue {
  if (value === undefined) return null
  if (!Array.isArray(value)) throw unusable(`${name} is not a list of patterns`)
  if (value.length > MAX_PATTERNS) throw unusable(`${name} has more than ${MAX_PATTERNS} patterns`)
  return value.map((pattern: unknown) => {
    if (typeof pattern !== 'string' || pattern === '') throw unusable(`${name} holds something that is not a pattern`)
    if (new TextEncoder().encode(pattern).length > MAX_PATTERN_BYTES)
      throw unusable(`${name}: a pattern is longer than ${MAX_PATTERN_BYTES} bytes`)
    return pattern
  })
}

function rate(value: unknown): WireValue {
  if (value === undefined) return null
  const own = ownEntries(value, 'rate', ['count', 'periodMs', 'burst'])
  return [
    required(own, 'count', 1, MAX_RATE_COUNT),
    required(own, 'periodMs', 1, MAX_RATE_PERIOD_MS),
    required(own, 'burst', 1, MAX_RATE_BURST),
  ]
}

/** Pairs in the order of DIMENSIONS: one encoding for one budget. */
function budget(value: unknown): WireValue {
  if (value === undefined) return null
  const own = ownEntries(value, 'budget', DIMENSIONS)
  return DIMENSIONS.filter((name) => own.has(name)).map((name) => [name, required(own, name, 0, Number.MAX_SAFE_INTEGER)])
}

function required(own: Own, key: string, least: number, most: number): number {
  const value = integer(own, key, least, most)
  if (value === null) throw unusable(`${key} is missing`)
  return value
}

function integer(own: Own, key: string, least: number, most: number): number | null {
  if (!own.has(key)) return null
  const value = own.get(key)
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > most)
    throw unusable(`${key} is not an integer from ${least} to ${most}`)
  return value
}

/** Own entries, `undefined` ones left out; inherited ones never count, and `__proto__` is a key as unknown as any. */
function ownEntries(value: unknown, name: string, known: readonly string[]): Own {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw unusable(`${name} is not an object`)
  const entries = new Map<string, unknown>()
  for (const key of Reflect.ownKeys(value)) {
    if (typeof key !== 'string' || !known.includes(key))
      throw unusable(`${name} has the unknown key ${JSON.stringify(String(key))}; known are ${known.join(', ')}`)
    const held: unknown = Reflect.get(value, key)
    if (held !== undefined) entries.set(key, held)
  }
  return entries
}

function unusable(cause: string, error?: unknown): CapabilityError {
  return new CapabilityError('E_CAP_INVALID', `the token cannot be narrowed so: ${cause}`, error === undefined ? {} : { cause: error })
}
