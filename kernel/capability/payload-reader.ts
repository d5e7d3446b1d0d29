import { malformed } from './errors.ts'

/** CBOR's simple values the wire has (RFC 8949). */
const FALSE = 0xf4
const TRUE = 0xf5
const NULL = 0xf6
/** Major types, in the upper three bits of an item's first byte. */
const UNSIGNED = 0
const BYTES = 2
const TEXT = 3
const ARRAY = 4
const TWO_POW_32 = 0x1_0000_0000
/** Upper half of the greatest argument within 2^53−1. */
const MAX_SAFE_HIGH = 0x1f_ffff

/** Bytes up to which an ASCII text is read by hand: below it the loop is quicker than TextDecoder. */
const SHORT_TEXT = 24

/** Without ignoreBOM a leading U+FEFF would vanish, and the pattern decided would not be the one signed. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const NOTHING = new Uint8Array()

/**
 * The wire's strict CBOR (protocol/SPEC.md) where it is known what must come next: what a payload says is read in one pass, and nothing is built for what it should not hold.
 * Every method throws E_CAP_INVALID for an item of another kind, out of bounds, or not in its one shortest form.
 */
export class PayloadReader {
  #bytes: Uint8Array = NOTHING
  #at = 0
  #to = 0
  #block = 0

  /** From here on reads the payload of `block`: the bytes from `from` to just before `to`. */
  enter(bytes: Uint8Array, from: number, to: number, block: number): void {
    this.#bytes = bytes
    this.#at = from
    this.#to = to
    this.#block = block
  }

  /** Whether null comes next; it is taken then. */
  takeNull(): boolean {
    if (this.#at >= this.#to || this.#bytes[this.#at] !== NULL) return false
    this.#at += 1
    return true
  }

  /** How many nulls come next, at most `most`; they are taken. */
  takeNulls(most: number): number {
    const bytes = this.#bytes
    const from = this.#at
    const end = Math.min(from + most, this.#to)
    let at = from
    while (at < end && bytes[at] === NULL) at += 1
    this.#at = at
    return at - from
  }

  /** Whether `count` nulls come next; they are taken then. */
  takeAllNulls(count: number): boolean {
    const bytes = this.#bytes
    const end = this.#at + count
    if (end > this.#to) return false
    for (let at = this.#at; at < end; at++) if (bytes[at] !== NULL) return false
    this.#at = end
    return true
  }

  /** Where the next item begins. */
  get at(): number {
    return this.#at
  }

  bool(name: string): boolean {
    const byte = this.#at < this.#to ? this.#bytes[this.#at++] : undefined
    if (byte !== FALSE && byte !== TRUE) throw this.#malformed(name, 'is not a boolean')
    return byte === TRUE
  }

  integer(name: string, least: number, most: number): number {
    const value = this.#argument(name, UNSIGNED, 'a number')
    if (value < least || value > most) throw this.#malformed(name, `is not an integer from ${least} to ${most}`)
    return value
  }

  /** How many elements follow. */
  array(name: string, most: number): number {
    const length = this.#argument(name, ARRAY, 'an array')
    if (length > most) throw this.#malformed(name, `has more than ${most} elements`)
    return length
  }

  bytes(name: string, length: number): Uint8Array {
    if (this.#argument(name, BYTES, 'a byte string') !== length) throw this.#malformed(name, `is not ${length} bytes`)
    const end = this.#end(name, length)
    const copy = this.#bytes.slice(this.#at, end)
    this.#at = end
    return copy
  }

  /** Goes past a text; returns where it begins, `at` is its end. `assertText` says whether it is one. */
  skipText(name: string, most: number): number {
    return this.#enterText(name, most)
  }

  /** Of the bytes from `from` to where the next item begins. */
  assertText(name: string, from: number): void {
    this.#utf8(name, from, this.#at)
  }

  text(name: string, most: number): string {
    const from = this.#enterText(name, most)
    const end = this.#at
    const bytes = this.#bytes
    let text = ''
    for (let i = from; i < end; i++) {
      const byte = bytes[i] as number
      if (byte > 0x7f || end - from > SHORT_TEXT) return this.#utf8(name, from, end)
      text += String.fromCharCode(byte)
    }
    return text
  }

  end(): void {
    const left = this.#to - this.#at
    if (left > 0) throw this.#malformed('payload', `has ${left} bytes after its end`)
  }

  #enterText(name: string, most: number): number {
    const length = this.#argument(name, TEXT, 'a text')
    if (length > most) throw this.#malformed(name, `holds a text longer than ${most} bytes`)
    const from = this.#at
    this.#at = this.#end(name, length)
    return from
  }

  #utf8(name: string, from: number, end: number): string {
    try {
      return UTF8.decode(this.#bytes.subarray(from, end))
    } catch {
      throw this.#malformed(name, 'holds a text that is not well-formed UTF-8')
    }
  }

  #end(name: string, length: number): number {
    const end = this.#at + length
    if (end > this.#to) throw this.#malformed(name, 'is cut off')
    return end
  }

  #argument(name: string, major: number, kind: string): number {
    const bytes = this.#bytes
    const initial = this.#at < this.#to ? (bytes[this.#at++] as number) : -1
    if (initial >> 5 !== major) throw this.#malformed(name, `is not ${kind}`)
    const info = initial & 0x1f
    return info < 24 ? info : this.#longArgument(name, info)
  }

  #longArgument(name: string, info: number): number {
    const bytes = this.#bytes
    if (info > 27) throw this.#malformed(name, 'has a length the wire does not know')
    const at = this.#at
    const width = 1 << (info - 24)
    this.#at = this.#end(name, width)
    if (width === 1) return this.#shortest(name, bytes[at] as number, 24)
    if (width === 2) return this.#shortest(name, (bytes[at] as number) * 0x100 + (bytes[at + 1] as number), 0x100)
    const high = readU32(bytes, at)
    if (width === 4) return this.#shortest(name, high, 0x1_0000)
    if (high > MAX_SAFE_HIGH) throw this.#malformed(name, 'is above 2^53−1')
    return this.#shortest(name, high * TWO_POW_32 + readU32(bytes, at + 4), TWO_POW_32)
  }

  #shortest(name: string, value: number, least: number): number {
    if (value < least) throw this.#malformed(name, 'is not in its shortest form')
    return value
  }

  #malformed(name: string, cause: string): Error {
    return malformed(`block ${this.#block}: ${name} ${cause}`)
  }
}

function readU32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) * 0x100_0000 +
    (bytes[at + 1] as number) * 0x1_0000 +
    (bytes[at + 2] as number) * 0x100 +
    (bytes[at + 3] as number)
  )
}
