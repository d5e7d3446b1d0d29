import { type Action, type Charges, DIMENSIONS, type Dimension } from '../vocabulary/index.ts'
import type { GrantBody, Limits, Rate, RestrictBody } from './blocks.ts'
import { unusable } from './errors.ts'
import type { Grants } from './types.ts'

/** What a holder may write to narrow a token. Each section that is there restricts; others stay as they were, or allow nothing when `closed`. */
export interface Restriction extends Grants, Limits {
  readonly closed?: boolean
  /** ms since the epoch. */
  readonly notBefore?: number
  readonly expires?: number
}

/** What an operator may write to mint a token. */
export interface Grant extends Grants, Limits {}

const SECTION_KEYS: Readonly<Record<string, readonly Action[]>> = {
  fs: ['fs.look', 'fs.read', 'fs.write'],
  net: ['net.dns', 'net.connect', 'net.listen'],
}
const LIST_KEYS = ['tools', 'infer'] as const
const GRANT_KEYS = [...Object.keys(SECTION_KEYS), ...LIST_KEYS, 'delegate', 'uses', 'rate', 'budget']
const RESTRICTION_KEYS = [...GRANT_KEYS, 'closed', 'notBefore', 'expires']

/** Throws E_CAP_INVALID for an unknown key: a misspelt restriction would restrict nothing. Ranges are checked when the block is encoded. */
export function readRestriction(value: Restriction): RestrictBody {
  const own = record(value, 'the restriction', RESTRICTION_KEYS)
  const closed = own.get('closed') ?? false
  if (typeof closed !== 'boolean') throw unusable('closed is not true or false')
  const notBefore = optionalNumber(own, 'notBefore')
  const expires = optionalNumber(own, 'expires')
  const body: RestrictBody = {
    kind: 'restrict',
    closed,
    sections: readSections(own),
    ...(notBefore === undefined ? {} : { notBefore }),
    ...(expires === undefined ? {} : { expires }),
    ...readLimits(own),
  }
  if (own.size === 0) throw unusable('the restriction restricts nothing', 'Name at least one section, time, count, rate or budget.')
  return body
}

/** As readRestriction, for block 0. */
export function readGrant(value: Grant): GrantBody {
  const own = record(value, 'the grant', GRANT_KEYS)
  return { kind: 'grant', sections: readSections(own), ...readLimits(own) }
}

function readSections(own: ReadonlyMap<string, unknown>): ReadonlyMap<Action, readonly string[]> {
  const sections = new Map<Action, readonly string[]>()
  for (const [key, actions] of Object.entries(SECTION_KEYS)) {
    const names = actions.map((action) => action.slice(key.length + 1))
    const lists = record(own.get(key) ?? {}, key, names)
    for (const action of actions) put(sections, action, lists.get(action.slice(key.length + 1)))
  }
  for (const key of LIST_KEYS) put(sections, key, own.get(key))
  return sections
}

function put(sections: Map<Action, readonly string[]>, action: Action, list: unknown): void {
  if (list === undefined) return
  if (!Array.isArray(list)) throw unusable(`${action} is not a list of patterns`)
  const patterns: unknown[] = list
  sections.set(
    action,
    patterns.map((pattern) => {
      if (typeof pattern !== 'string') throw unusable(`${action} holds something that is not a pattern`)
      return pattern
    }),
  )
}

function readLimits(own: ReadonlyMap<string, unknown>): Limits {
  const delegate = optionalNumber(own, 'delegate')
  const uses = optionalNumber(own, 'uses')
  const rate = own.get('rate')
  const budget = own.get('budget')
  return {
    ...(delegate === undefined ? {} : { delegate }),
    ...(uses === undefined ? {} : { uses }),
    ...(rate === undefined ? {} : { rate: readRate(rate) }),
    ...(budget === undefined ? {} : { budget: readBudget(budget) }),
  }
}

function readRate(value: unknown): Rate {
  const own = record(value, 'rate', ['count', 'periodMs', 'burst'])
  return { count: number(own, 'count'), periodMs: number(own, 'periodMs'), burst: number(own, 'burst') }
}

function readBudget(value: unknown): Charges {
  const own = record(value, 'budget', DIMENSIONS)
  const budget: Partial<Record<Dimension, number>> = {}
  for (const dimension of DIMENSIONS) if (own.has(dimension)) budget[dimension] = number(own, dimension)
  return budget
}

/** Own entries of a plain object, `undefined` ones left out; inherited ones never count, and `__proto__` is a key like any other unknown one. */
function record(value: unknown, name: string, known: readonly string[]): ReadonlyMap<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw unusable(`${name} is not an object`)
  const entries = new Map<string, unknown>()
  for (const key of Reflect.ownKeys(value)) {
    if (typeof key !== 'string' || !known.includes(key))
      throw unusable(`${name} has the unknown key ${JSON.stringify(String(key))}`, `Known keys: ${known.join(', ')}.`)
    const held: unknown = Reflect.get(value, key)
    if (held !== undefined) entries.set(key, held)
  }
  return entries
}

function optionalNumber(own: ReadonlyMap<string, unknown>, key: string): number | undefined {
  return own.has(key) ? number(own, key) : undefined
}

function number(own: ReadonlyMap<string, unknown>, key: string): number {
  const value = own.get(key)
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw unusable(`${key} is not an integer`)
  return value
}
