import { MAX_CBOR_ARRAY, type WireValue } from '@authority/protocol'
import { type Action, type Charges, DIMENSIONS, type Dimension } from '../vocabulary/index.ts'
import type { Rate } from './blocks.ts'
import { malformed } from './errors.ts'
import {
  MAX_BLOCKS,
  MAX_PATTERN_BYTES,
  MAX_PATTERNS,
  MAX_RATE_BURST,
  MAX_RATE_COUNT,
  MAX_RATE_PERIOD_MS,
  MAX_TIME_MS,
  MAX_USES,
} from './limits.ts'
import { ADDED_SECTION, SECTIONS, type Sections } from './sections.ts'

/** Reads the elements of a payload one after the other; each of the wrong kind, out of range, missing or too many is E_CAP_INVALID. */
export interface Fields {
  bool(name: string): boolean
  bytes(name: string, length: number): Uint8Array
  time(name: string): number | null
  delegate(): number | null
  uses(): number | null
  rate(): Rate | null
  budget(): Charges | null
  sections(): Sections
  /** The last element, where there is one. It is never null: one encoding for one meaning. */
  added(): Sections
  /** Nothing may be left: an element this build does not know might be a restriction. */
  end(): void
}

export function fieldsOf(value: WireValue, where: string): Fields {
  const elements = listOf(value, where, MAX_CBOR_ARRAY)
  let at = 0
  const next = (name: string): WireValue => {
    const element = elements[at++]
    if (element === undefined) throw malformed(`${where}: ${name} is missing`)
    return element
  }
  const optional = <T>(name: string, read: (value: WireValue) => T): T | null => {
    const element = next(name)
    return element === null ? null : read(element)
  }
  const optionalInteger = (name: string, least: number, most: number): number | null =>
    optional(name, (element) => integerOf(element, `${where}: ${name}`, least, most))
  return {
    bool: (name) => {
      const element = next(name)
      if (typeof element !== 'boolean') throw malformed(`${where}: ${name} is not a boolean`)
      return element
    },
    bytes: (name, length) => {
      const element = next(name)
      if (!(element instanceof Uint8Array) || element.length !== length) throw malformed(`${where}: ${name} is not ${length} bytes`)
      return element
    },
    time: (name) => optionalInteger(name, 0, MAX_TIME_MS),
    delegate: () => optionalInteger('delegate', 0, MAX_BLOCKS - 1),
    uses: () => optionalInteger('uses', 0, MAX_USES),
    rate: () => optional('rate', (element) => rateOf(element, `${where}: rate`)),
    budget: () => optional('budget', (element) => budgetOf(element, `${where}: budget`)),
    sections: () => {
      const sections = new Map<Action, readonly string[]>()
      for (const action of SECTIONS) {
        const list = optional(action, (element) => patternsOf(element, `${where}: ${action}`))
        if (list !== null) sections.set(action, list)
      }
      return sections
    },
    added: () =>
      at < elements.length ? new Map([[ADDED_SECTION, patternsOf(next(ADDED_SECTION), `${where}: ${ADDED_SECTION}`)]]) : new Map(),
    end: () => {
      if (at < elements.length) throw malformed(`${where} has ${elements.length - at} elements this build does not know`)
    },
  }
}

export function writeRate(rate: Rate | undefined): WireValue {
  return rate === undefined ? null : [rate.count, rate.periodMs, rate.burst]
}

/** Pairs in the order of DIMENSIONS: one encoding for one budget. */
export function writeBudget(budget: Charges | undefined): WireValue {
  if (budget === undefined) return null
  return DIMENSIONS.flatMap((dimension): WireValue[] => {
    const limit = budget[dimension]
    return limit === undefined ? [] : [[dimension, limit]]
  })
}

const UTF8 = new TextEncoder()

function patternsOf(value: WireValue, where: string): readonly string[] {
  return listOf(value, where, MAX_PATTERNS).map((element) => {
    if (typeof element !== 'string' || element === '') throw malformed(`${where} holds something that is not a pattern`)
    if (element.length * 3 > MAX_PATTERN_BYTES && UTF8.encode(element).length > MAX_PATTERN_BYTES)
      throw malformed(`${where}: a pattern is longer than ${MAX_PATTERN_BYTES} bytes`)
    return element
  })
}

function rateOf(value: WireValue, where: string): Rate {
  const [count, period, burst, ...more] = listOf(value, where, 3)
  if (more.length > 0) throw malformed(`${where} has too many elements`)
  return {
    count: integerOf(count, `${where} count`, 1, MAX_RATE_COUNT),
    periodMs: integerOf(period, `${where} period`, 1, MAX_RATE_PERIOD_MS),
    burst: integerOf(burst, `${where} burst`, 1, MAX_RATE_BURST),
  }
}

function budgetOf(value: WireValue, where: string): Charges {
  const budget: Partial<Record<Dimension, number>> = {}
  let last = -1
  for (const element of listOf(value, where, DIMENSIONS.length)) {
    const [name, limit, ...more] = listOf(element, where, 2)
    const index = typeof name === 'string' ? DIMENSIONS.indexOf(name as Dimension) : -1
    const dimension = DIMENSIONS[index]
    if (dimension === undefined || more.length > 0) throw malformed(`${where} holds a dimension unknown to this build`)
    if (index <= last) throw malformed(`${where} holds its dimensions out of order or twice`)
    budget[dimension] = integerOf(limit, `${where} ${dimension}`, 0, Number.MAX_SAFE_INTEGER)
    last = index
  }
  return budget
}

function listOf(value: WireValue, where: string, most: number): readonly WireValue[] {
  if (!Array.isArray(value)) throw malformed(`${where} is not an array`)
  const list: readonly WireValue[] = value
  if (list.length > most) throw malformed(`${where} has more than ${most} elements`)
  return list
}

function integerOf(value: WireValue | undefined, where: string, least: number, most: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > most)
    throw malformed(`${where} is not an integer from ${least} to ${most}`)
  return value
}
