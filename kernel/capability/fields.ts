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
import type { PlainPatterns } from './rules.ts'
import { ADDED_SECTION, SECTIONS, type Sections } from './sections.ts'
import { NO_SECTIONS, StoredSections } from './stored-sections.ts'

const NOTHING = new Uint8Array()
/** Longest dimension name, in bytes. */
const MAX_DIMENSION_BYTES = 32

/** Reads the elements of a payload one after the other; each of the wrong kind, out of range, missing or too many is E_CAP_INVALID. */
export class Fields {
  readonly #reader = new PayloadReader()
  #bytes: Uint8Array = NOTHING
  #patterns: PlainPatterns | undefined
  #block = 0
  #left = 0
  #listsFrom = 0
  /** As StoredSections has it. */
  #present = 0
  #plain = true

  /** From here on reads the payload that stands from `from` to just before `to`. */
  enter(bytes: Uint8Array, from: number, to: number, block: number, patterns?: PlainPatterns): void {
    this.#bytes = bytes
    this.#patterns = patterns
    this.#block = block
    this.#present = 0
    this.#plain = true
    this.#reader.enter(bytes, from, to, block)
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

  /** Whether the four limits come next and none is there; they are taken then. */
  hasNoLimits(): boolean {
    if (this.#left < 4 || !this.#reader.takeAllNulls(4)) return false
    this.#left -= 4
    return true
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

  /** Goes past the seven that stand in every block that has sections. */
  lists(): void {
    this.#listsFrom = this.#reader.at
    for (let index = 0; index < SECTIONS.length; index++) {
      index += this.#takeNulls(SECTIONS.length - index)
      const action = SECTIONS[index]
      if (action === undefined) break
      this.#next(action)
      this.#skipPatterns(action)
      this.#present |= 1 << index
    }
  }

  /** What `lists` went past and the last element, where there is one. It is never null: one encoding for one meaning. */
  sections(): Sections {
    const added = this.#reader.at
    if (this.#left > 0) {
      this.#next(ADDED_SECTION)
      this.#skipPatterns(ADDED_SECTION)
      this.#present |= 1 << SECTIONS.length
    }
    return this.#present === 0 ? NO_SECTIONS : new StoredSections(this.#bytes, this.#listsFrom, added, this.#present, this.#plain)
  }

  /** Nothing may be left: an element this build does not know might be a restriction. */
  end(): void {
    if (this.#left > 0) throw this.#malformed(`${this.#left} elements this build does not know`)
    this.#reader.end()
  }

  #skipPatterns(action: Action): void {
    const reader = this.#reader
    for (let left = reader.array(action, MAX_PATTERNS); left > 0; left--) {
      const from = reader.skipText(action, MAX_PATTERN_BYTES)
      if (reader.at === from) throw this.#malformed(`${action} holds something that is not a pattern`)
      // A plain pattern is ASCII.
      if (this.#patterns?.isPattern(action, this.#bytes, from, reader.at) === true) continue
      reader.assertText(action, from)
      this.#plain = false
    }
  }

  #takeNulls(most: number): number {
    const taken = this.#reader.takeNulls(Math.min(most, this.#left))
    this.#left -= taken
    return taken
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
