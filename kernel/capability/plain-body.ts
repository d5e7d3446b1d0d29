import type { BlockBody } from './blocks.ts'
import { MAX_TIME_MS } from './limits.ts'
import type { PlainPatterns } from './rules.ts'
import { SECTIONS } from './sections.ts'
import { NO_SECTIONS, StoredSections } from './stored-sections.ts'

/** First bytes of CBOR items (RFC 8949), and the argument an array or a text may have in its first byte. */
const FALSE = 0xf4
const TRUE = 0xf5
const NULL = 0xf6
const ARRAY = 0x80
const TEXT = 0x60
const TEXT_U8 = 0x78
const UNSIGNED_U64 = 0x1b
const MAX_SHORT = 23
/** Elements of a payload without the added section. */
const GRANT_ELEMENTS = SECTIONS.length + 4
const RESTRICT_ELEMENTS = SECTIONS.length + 7
const LIMITS = 4
const TWO_POW_32 = 0x1_0000_0000

/**
 * What nearly every block says, read in one loop: short lists of plain patterns, an expiry, nothing else. Null for all else, which Fields then reads or refuses;
 * never a body that Fields would not give for the same bytes. The steps from one element to the next were a tenth of what a token costs.
 */
export function readPlainBody(bytes: Uint8Array, restricts: boolean, from: number, to: number, patterns: PlainPatterns): BlockBody | null {
  let at = from
  if (bytes[at++] !== ARRAY + (restricts ? RESTRICT_ELEMENTS : GRANT_ELEMENTS)) return null
  let closed = false
  if (restricts) {
    const byte = bytes[at++]
    if (byte === TRUE) closed = true
    else if (byte !== FALSE) return null
  }
  const listsFrom = at
  let present = 0
  for (let section = 0; section < SECTIONS.length; section++) {
    const head = bytes[at++] as number
    if (head === NULL) continue
    if (!(head >= ARRAY && head <= ARRAY + MAX_SHORT)) return null
    present |= 1 << section
    for (let left = head - ARRAY; left > 0; left--) {
      const first = bytes[at++] as number
      const length = first === TEXT_U8 ? (bytes[at++] as number) : first - TEXT
      // In its shortest form, and not past the end.
      if (!(first === TEXT_U8 ? length > MAX_SHORT : length > 0 && length <= MAX_SHORT) || at + length > to) return null
      if (!patterns.isPattern(SECTIONS[section] as (typeof SECTIONS)[number], bytes, at, at + length)) return null
      at += length
    }
  }
  const listsTo = at
  let expires: number | undefined
  if (restricts) {
    if (bytes[at++] !== NULL) return null
    if (bytes[at] === UNSIGNED_U64 && at + 9 <= to) {
      expires = readU32(bytes, at + 1) * TWO_POW_32 + readU32(bytes, at + 5)
      if (!(expires >= TWO_POW_32 && expires <= MAX_TIME_MS)) return null
      at += 9
    } else if (bytes[at++] !== NULL) return null
  }
  for (let i = 0; i < LIMITS; i++) if (bytes[at++] !== NULL) return null
  if (at !== to) return null
  const sections = present === 0 ? NO_SECTIONS : new StoredSections(bytes, listsFrom, listsTo, present, true)
  if (!restricts) return { kind: 'grant', sections }
  return expires === undefined
    ? { kind: 'restrict', closed, sections }
    : { kind: 'restrict', closed, notBefore: undefined, expires, sections }
}

function readU32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) * 0x100_0000 +
    (bytes[at + 1] as number) * 0x1_0000 +
    (bytes[at + 2] as number) * 0x100 +
    (bytes[at + 3] as number)
  )
}
