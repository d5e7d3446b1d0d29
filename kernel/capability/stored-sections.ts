import type { Action, Question } from '../vocabulary/index.ts'
import { MAX_PATTERN_BYTES, MAX_PATTERNS } from './limits.ts'
import { PayloadReader } from './payload-reader.ts'
import type { PlainPatterns, Rules } from './rules.ts'
import { PLACE_IN_PAYLOAD, SECTIONS, type Sections } from './sections.ts'

/** As they stand in bytes that were gone through once and that nobody changes: a text is made of them when somebody asks for it. */
export class StoredSections implements Sections {
  readonly #bytes: Uint8Array
  /** Where SECTIONS begin, a list or null each. */
  readonly #from: number
  /** Where the added one begins. */
  readonly #added: number
  /** Which are there: a bit for each of IN_PAYLOAD, the first the lowest. */
  readonly #present: number
  /** Whether all of them are plain patterns. */
  readonly plain: boolean
  /** What was made of them for questions that no list decides by itself. */
  compiled: Rules | null = null

  constructor(bytes: Uint8Array, from: number, added: number, present: number, plain: boolean) {
    this.#bytes = bytes
    this.#from = from
    this.#added = added
    this.#present = present
    this.plain = plain
  }

  get size(): number {
    let size = 0
    for (let bits = this.#present; bits > 0; bits >>= 1) size += bits & 1
    return size
  }

  has(action: Action): boolean {
    return (this.#present & (1 << PLACE_IN_PAYLOAD[action])) !== 0
  }

  get(action: Action): readonly string[] | undefined {
    if (!this.has(action)) return undefined
    const reader = this.#readerAt(action)
    return Array.from({ length: reader.array(action, MAX_PATTERNS) }, () => reader.text(action, MAX_PATTERN_BYTES))
  }

  /** Whether one of the patterns the question's section lists allows it. All of them are plain. */
  some(question: Question, patterns: PlainPatterns): boolean {
    const { action } = question
    if (!this.has(action)) return false
    const bytes = this.#bytes
    const place = PLACE_IN_PAYLOAD[action]
    const isAdded = place === SECTIONS.length
    let at = isAdded ? this.#added : this.#from
    // Every list before it, then its own.
    for (let section = isAdded ? place : 0; section <= place; section++) {
      let left = (this.#present & (1 << section)) === 0 ? 0 : argumentOf(bytes, at)
      for (at += (this.#present & (1 << section)) === 0 ? 1 : headBytes(bytes, at); left > 0; left--) {
        const from = at + headBytes(bytes, at)
        at = from + argumentOf(bytes, at)
        if (section === place && patterns.allows(question, bytes, from, at)) return true
      }
    }
    return false
  }

  #readerAt(action: Action): PayloadReader {
    const index = PLACE_IN_PAYLOAD[action]
    const isAdded = index === SECTIONS.length
    READER.enter(this.#bytes, isAdded ? this.#added : this.#from, this.#bytes.length, 0)
    for (let i = isAdded ? index : 0; i < index; i++)
      if (!READER.takeNull()) for (let left = READER.array('', MAX_PATTERNS); left > 0; left--) READER.skipText('', MAX_PATTERN_BYTES)
    return READER
  }
}

/** Of a block that names none. */
export const NO_SECTIONS = new StoredSections(new Uint8Array(), 0, 0, 0, true)

/** Of an item that was gone through: its head has 1 to 3 bytes, since no list and no pattern is longer than a u16 says. */
function headBytes(bytes: Uint8Array, at: number): number {
  const info = (bytes[at] as number) & 0x1f
  return info < 24 ? 1 : info - 22
}

/** The argument in such a head. */
function argumentOf(bytes: Uint8Array, at: number): number {
  const info = (bytes[at] as number) & 0x1f
  if (info < 24) return info
  return info === 24 ? (bytes[at + 1] as number) : (bytes[at + 1] as number) * 0x100 + (bytes[at + 2] as number)
}

/** One for all: nobody waits while reading. */
const READER = new PayloadReader()
