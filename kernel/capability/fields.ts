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
import { PayloadReader } from './payload-reader.ts'
import { ADDED_SECTION, type PatternLists, SECTIONS, SectionLists, type Sections } from './sections.ts'

const NO_SECTIONS: Sections = new SectionLists([])
/** Longest dimension name, in bytes. */
const MAX_DIMENSION_BYTES = 32

/** Reads the elements of a payload one after the other; each of the wrong kind, out of range, missing or too many is E_CAP_INVALID. */
export class Fields {
  readonly #reader: PayloadReader
  #block = 0
  #left = 0

  constructor(bytes: Uint8Array) {
    this.#reader = new PayloadReader(bytes)
  }

  /** From here on reads the payload that stands from `from` to just before `to`. */
  enter(from: number, to: number, block: number): void {
    this.#block = block
    this.#reader.enter(from, to, block)
    this.#left = this.#reader.array('payload', MAX_CBOR_ARRAY)
  }

  bool(name: string): boolean {
    this.#next(name)
    return this.#reader.bool(name)
  }

  bytes(name: string, length: number): Uint8Array {
    this.#next(name)
    return this.#reader.bytes(name, length)
  }

  time(name: string): number | undefined {
    return this.#optionalInteger(name, 0, MAX_TIME_MS)
  }

  delegate(): number | undefined {
    return this.#optionalInteger('delegate', 0, MAX_BLOCKS - 1)
  }

  uses(): number | undefined {
    return this.#optionalInteger('uses', 0, MAX_USES)
  }

  rate(): Rate | undefined {
    if (this.#isNull('rate')) return undefined
    const reader = this.#reader
    if (reader.array('rate', 3) !== 3) throw this.#malformed('rate has not three elements')
    return {
      count: reader.integer('rate count', 1, MAX_RATE_COUNT),
      periodMs: reader.integer('rate period', 1, MAX_RATE_PERIOD_MS),
      burst: reader.integer('rate burst', 1, MAX_RATE_BURST),
    }
  }

  /** Each dimension at most once, in their order: one encoding for one budget. */
  budget(): Charges | undefined {
    if (this.#isNull('budget')) return undefined
    const reader = this.#reader
    const budget: Partial<Record<Dimension, number>> = {}
    let last = -1
    for (let left = reader.array('budget', DIMENSIONS.length); left > 0; left--) {
      if (reader.array('budget', 2) !== 2) throw this.#malformed('budget holds something that is not a dimension and its limit')
      const index = DIMENSIONS.indexOf(reader.text('budget', MAX_DIMENSION_BYTES) as Dimension)
      const dimension = DIMENSIONS[index]
      if (dimension === undefined) throw this.#malformed('budget holds a dimension unknown to this build')
      if (index <= last) throw this.#malformed('budget holds its dimensions out of order or twice')
      budget[dimension] = reader.integer(dimension, 0, Number.MAX_SAFE_INTEGER)
      last = index
    }
    return budget
  }

  /** The seven that stand in every block that has sections, in their order; null when none is there. */
  lists(): PatternLists | null {
    let lists: (readonly string[] | undefined)[] | null = null
    for (let index = 0; index < SECTIONS.length; index++) {
      const action = SECTIONS[index] as Action
      if (this.#isNull(action)) continue
      lists ??= SECTIONS.map(() => undefined)
      lists[index] = this.#patterns(action)
    }
    return lists
  }

  /** Reads the last element, where there is one, to the lists. It is never null: one encoding for one meaning. */
  sections(lists: PatternLists | null): Sections {
    if (this.#left === 0) return lists === null ? NO_SECTIONS : new SectionLists(lists)
    this.#next(ADDED_SECTION)
    return new SectionLists([...(lists ?? SECTIONS.map(() => undefined)), this.#patterns(ADDED_SECTION)])
  }

  /** Nothing may be left: an element this build does not know might be a restriction. */
  end(): void {
    if (this.#left > 0) throw this.#malformed(`${this.#left} elements this build does not know`)
    this.#reader.end()
  }

  #patterns(action: Action): readonly string[] {
    const patterns: string[] = []
    for (let left = this.#reader.array(action, MAX_PATTERNS); left > 0; left--) {
      const pattern = this.#reader.text(action, MAX_PATTERN_BYTES)
      if (pattern === '') throw this.#malformed(`${action} holds something that is not a pattern`)
      patterns.push(pattern)
    }
    return patterns
  }

  #optionalInteger(name: string, least: number, most: number): number | undefined {
    return this.#isNull(name) ? undefined : this.#reader.integer(name, least, most)
  }

  #isNull(name: string): boolean {
    this.#next(name)
    return this.#reader.takeNull()
  }

  #next(name: string): void {
    if (this.#left === 0) throw this.#malformed(`${name} is missing`)
    this.#left -= 1
  }

  #malformed(cause: string): Error {
    return malformed(`block ${this.#block}: ${cause}`)
  }
}

export function writeRate(rate: Rate | undefined): WireValue {
  return rate === undefined ? null : [rate.count, rate.periodMs, rate.burst]
}

/** Pairs in the order of DIMENSIONS. */
export function writeBudget(budget: Charges | undefined): WireValue {
  if (budget === undefined) return null
  return DIMENSIONS.flatMap((dimension): WireValue[] => {
    const limit = budget[dimension]
    return limit === undefined ? [] : [[dimension, limit]]
  })
}
