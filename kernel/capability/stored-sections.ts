import type { Action, Question } from '../vocabulary/index.ts'
import { MAX_PATTERN_BYTES, MAX_PATTERNS } from './limits.ts'
import { PayloadReader } from './payload-reader.ts'
import type { PlainPatterns, Rules } from './rules.ts'
import { IN_PAYLOAD, SECTIONS, type Sections } from './sections.ts'

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
    return (this.#present & (1 << IN_PAYLOAD.indexOf(action))) !== 0
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
    const reader = this.#readerAt(action)
    for (let left = reader.array(action, MAX_PATTERNS); left > 0; left--)
      if (patterns.allows(question, this.#bytes, reader.skipText(action, MAX_PATTERN_BYTES), reader.at)) return true
    return false
  }

  #readerAt(action: Action): PayloadReader {
    const index = IN_PAYLOAD.indexOf(action)
    const isAdded = index === SECTIONS.length
    READER.enter(this.#bytes, isAdded ? this.#added : this.#from, this.#bytes.length, 0)
    for (let i = isAdded ? index : 0; i < index; i++)
      if (!READER.takeNull()) for (let left = READER.array('', MAX_PATTERNS); left > 0; left--) READER.skipText('', MAX_PATTERN_BYTES)
    return READER
  }
}

/** One for all: nobody waits while reading. */
const READER = new PayloadReader()
