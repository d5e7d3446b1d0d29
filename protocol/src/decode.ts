import { AuthorityError } from './errors.ts'
import { MAX_CBOR_ARRAY, MAX_CBOR_DEPTH, MAX_CBOR_VALUES } from './limits.ts'
import type { WireValue } from './value.ts'

/** Bytes up to which an ASCII text is read by hand: below it the loop is quicker than TextDecoder (5 bytes: 90 ns against 180; 23 bytes: 265 against 145). */
const SHORT_TEXT = 12
const TWO_POW_32 = 0x1_0000_0000
/** Upper half of the greatest argument an integer within 2^53−1 can have. */
const MAX_HIGH = 0x1f_ffff

const NOTHING = new Uint8Array(0)

/** Without ignoreBOM a leading U+FEFF would vanish, and the name decided would not be the name sent. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Decodes exactly one item that fills `bytes`. Byte strings in the result are views of `bytes`.
 * Throws E_PROTOCOL naming the offset and cause for everything that `encode` would not have written.
 * Nothing is allocated from a length the input only claims: an array needs a byte per element, a string all its bytes.
 */
export function decode(bytes: Uint8Array): WireValue {
  READER.begin(bytes, 0)
  const value = READER.item()
  READER.finish()
  return value
}

/** What `decode` reads with, for those who know what comes first. */
export class ItemReader {
  #bytes: Uint8Array = NOTHING
  #at = 0
  #depth = 0
  #values = 0

  /** `inside`: how many one-byte values at its beginning are read already, the first of which is the array around all others; 0: none. */
  begin(bytes: Uint8Array, inside: number): void {
    this.#bytes = bytes
    this.#at = inside
    this.#depth = inside === 0 ? 0 : 1
    this.#values = inside
  }

  finish(): void {
    const left = this.#bytes.length - this.#at
    if (left > 0) throw refused(this.#at, `${left} bytes after the end of the item`)
    // Kept between items, the bytes of the last are not.
    this.#bytes = NOTHING
  }

  /** An unsigned integer, or -1 where something else or nothing stands. */
  uint(): number {
    const start = this.#at
    const initial = this.#bytes[start]
    if (initial === undefined || initial >> 5 !== 0) return -1
    this.#at = start + 1
    this.#values++
    return this.#argument(initial, start)
  }

  item(): WireValue {
    const start = this.#at
    if (start >= this.#bytes.length) throw refused(start, 'the input ends where an item should begin')
    if (++this.#values > MAX_CBOR_VALUES) throw refused(start, `more than ${MAX_CBOR_VALUES} values in one item`)
    const initial = this.#bytes[this.#at++] as number
    switch (initial >> 5) {
      case 0:
        return this.#argument(initial, start)
      case 1: {
        const value = -1 - this.#argument(initial, start)
        if (value < Number.MIN_SAFE_INTEGER) throw refused(start, 'an integer below −(2^53−1)')
        return value
      }
      case 2: {
        const end = this.#end(this.#argument(initial, start), start, 'byte')
        const view = this.#bytes.subarray(this.#at, end)
        this.#at = end
        return view
      }
      case 3:
        return this.#text(this.#end(this.#argument(initial, start), start, 'text'), start)
      case 4:
        return this.#array(this.#argument(initial, start), start)
      case 5:
        throw refused(start, 'maps are not part of the wire')
      case 6:
        throw refused(start, 'tags are not part of the wire')
      default:
        return simple(initial, start)
    }
  }

  #array(length: number, start: number): WireValue {
    if (length > MAX_CBOR_ARRAY) throw refused(start, `an array of ${length} elements, ${MAX_CBOR_ARRAY} are allowed`)
    const left = this.#bytes.length - this.#at
    if (length > left) throw refused(start, `an array of ${length} elements with ${left} bytes left`)
    if (++this.#depth > MAX_CBOR_DEPTH) throw refused(start, `arrays nested deeper than ${MAX_CBOR_DEPTH}`)
    const values: WireValue[] = []
    for (let i = 0; i < length; i++) values.push(this.item())
    this.#depth--
    return values
  }

  #text(end: number, start: number): string {
    const bytes = this.#bytes
    const from = this.#at
    this.#at = end
    if (end - from <= SHORT_TEXT) {
      let text = ''
      let i = from
      for (; i < end; i++) {
        const byte = bytes[i] as number
        if (byte > 0x7f) break
        text += String.fromCharCode(byte)
      }
      if (i === end) return text
    }
    try {
      return UTF8.decode(bytes.subarray(from, end))
    } catch {
      throw refused(start, 'a text string that is not well-formed UTF-8')
    }
  }

  /** Where a string of `length` bytes ends. */
  #end(length: number, start: number, kind: string): number {
    const left = this.#bytes.length - this.#at
    if (length > left) throw refused(start, `a ${kind} string of ${length} bytes with ${left} bytes left`)
    return this.#at + length
  }

  /** The argument of an initial byte, refused unless it stands in its shortest form. */
  #argument(initial: number, start: number): number {
    const info = initial & 0x1f
    if (info < 24) return info
    if (info > 27)
      throw refused(start, info === 31 ? 'indefinite lengths are not part of the wire' : `reserved additional information ${info}`)
    const bytes = this.#bytes
    const at = this.#at
    const width = 1 << (info - 24)
    if (at + width > bytes.length) throw refused(start, 'the input ends inside a number')
    this.#at = at + width
    if (width === 1) return shortest(bytes[at] as number, 24, start)
    if (width === 2) return shortest(((bytes[at] as number) << 8) | (bytes[at + 1] as number), 0x100, start)
    const high = readU32(bytes, at)
    if (width === 4) return shortest(high, 0x1_0000, start)
    if (high > MAX_HIGH) throw refused(start, 'a number above 2^53−1')
    return shortest(high * TWO_POW_32 + readU32(bytes, at + 4), TWO_POW_32, start)
  }
}

/** Kept between calls: decoding is synchronous and calls nobody, so two decodings never overlap. */
export const READER = new ItemReader()

function simple(initial: number, start: number): WireValue {
  switch (initial) {
    case 0xf4:
      return false
    case 0xf5:
      return true
    case 0xf6:
      return null
    case 0xf7:
      throw refused(start, 'undefined is not part of the wire')
    case 0xf9:
    case 0xfa:
    case 0xfb:
      throw refused(start, 'floating-point numbers are not part of the wire')
    case 0xff:
      throw refused(start, 'a break without an indefinite length')
    default:
      throw refused(start, 'a simple value that is not part of the wire')
  }
}

function shortest(value: number, least: number, start: number): number {
  if (value < least) throw refused(start, `the number ${value} not in its shortest form`)
  return value
}

function readU32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) >>> 0
  )
}

function refused(offset: number, cause: string): AuthorityError {
  return new AuthorityError('E_PROTOCOL', `CBOR at byte ${offset}: ${cause}`)
}
