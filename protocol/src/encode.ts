import { AuthorityError } from './errors.ts'
import { LINK_HEADER_BYTES, MAX_CBOR_ARRAY, MAX_CBOR_DEPTH, MAX_CBOR_VALUES, MAX_ITEM_BYTES } from './limits.ts'
import { kindOf, type WireValue } from './value.ts'

const FIRST_SCRATCH_BYTES = 4096
/** UTF-16 units up to which a text is written by hand: below it the loop is quicker than TextEncoder. */
const SHORT_TEXT = 64
/** Bytes of the longest initial byte with its argument. */
const MAX_HEAD_BYTES = 9
const TWO_POW_32 = 0x1_0000_0000

const MAJOR_UINT = 0x00
const MAJOR_NEGATIVE = 0x20
const MAJOR_BYTES = 0x40
const MAJOR_TEXT = 0x60
const MAJOR_ARRAY = 0x80
const FALSE = 0xf4
const TRUE = 0xf5
const NULL = 0xf6

const UTF8 = new TextEncoder()

/**
 * Encodes one item in the only form `decode` accepts.
 * Throws E_PROTOCOL for a value the wire cannot carry and E_FRAME_TOO_LARGE when the item does not fit a frame.
 */
export function encode(value: WireValue): Uint8Array {
  WRITER.begin(0)
  WRITER.item(value)
  return WRITER.copy()
}

/**
 * Encodes one link frame: u32 length, u32 session, item (big-endian; the length counts what follows it).
 * Throws as `encode`, and E_PROTOCOL for a session that is not a u32.
 */
export function encodeFrame(session: number, item: WireValue): Uint8Array {
  if (!Number.isInteger(session) || session < 0 || session >= TWO_POW_32) {
    throw new AuthorityError('E_PROTOCOL', `cannot encode a frame for session ${session}: not an unsigned 32-bit number`)
  }
  if (item instanceof Uint8Array) return bytesFrame(session, item)
  WRITER.begin(LINK_HEADER_BYTES)
  WRITER.item(item)
  WRITER.frameHeader(session)
  return WRITER.copy()
}

/** The frame of one byte string, written once: FUSE messages are large, and a second copy of each would be felt. */
function bytesFrame(session: number, data: Uint8Array): Uint8Array {
  const n = data.length
  const head = n < 24 ? 1 : n < 0x100 ? 2 : n < 0x1_0000 ? 3 : 5
  if (head + n > MAX_ITEM_BYTES) throw tooLarge()
  const frame = new Uint8Array(LINK_HEADER_BYTES + head + n)
  writeU32(frame, 0, frame.length - 4)
  writeU32(frame, 4, session)
  writeHead(frame, LINK_HEADER_BYTES, MAJOR_BYTES, n)
  frame.set(data, LINK_HEADER_BYTES + head)
  return frame
}

/** Writes into one buffer that is kept between calls: encoding is synchronous and calls nobody, so two encodings never overlap. */
class Writer {
  #bytes = new Uint8Array(FIRST_SCRATCH_BYTES)
  #at = 0
  #limit = MAX_ITEM_BYTES
  #depth = 0
  #values = 0

  begin(offset: number): void {
    this.#at = offset
    this.#limit = offset + MAX_ITEM_BYTES
    this.#depth = 0
    this.#values = 0
  }

  copy(): Uint8Array {
    if (this.#at > this.#limit) throw tooLarge()
    return this.#bytes.slice(0, this.#at)
  }

  item(value: WireValue): void {
    if (++this.#values > MAX_CBOR_VALUES) throw unencodable(`more than ${MAX_CBOR_VALUES} values in one item`)
    if (typeof value === 'number') {
      if (!Number.isSafeInteger(value)) throw unencodable(`${value} is not an integer within ±(2^53−1)`)
      if (value >= 0) this.#head(MAJOR_UINT, value)
      else this.#head(MAJOR_NEGATIVE, -1 - value)
    } else if (typeof value === 'string') {
      this.#text(value)
    } else if (typeof value === 'boolean') {
      this.#simple(value ? TRUE : FALSE)
    } else if (value === null) {
      this.#simple(NULL)
    } else if (value instanceof Uint8Array) {
      this.#head(MAJOR_BYTES, value.length)
      this.#append(value)
    } else if (Array.isArray(value)) {
      this.#array(value)
    } else {
      throw unencodable(`the wire has no ${kindOf(value)}`)
    }
  }

  frameHeader(session: number): void {
    writeU32(this.#bytes, 0, this.#at - 4)
    writeU32(this.#bytes, 4, session)
  }

  #array(values: readonly WireValue[]): void {
    if (values.length > MAX_CBOR_ARRAY) throw unencodable(`an array of ${values.length} elements, ${MAX_CBOR_ARRAY} are allowed`)
    if (++this.#depth > MAX_CBOR_DEPTH) throw unencodable(`arrays nested deeper than ${MAX_CBOR_DEPTH}`)
    this.#head(MAJOR_ARRAY, values.length)
    for (let i = 0; i < values.length; i++) this.item(values[i] as WireValue)
    this.#depth--
  }

  #text(text: string): void {
    const length = text.length
    if (length <= SHORT_TEXT) {
      this.#reserve(length + 2)
      const bytes = this.#bytes
      let at = this.#at + (length < 24 ? 1 : 2)
      let i = 0
      for (; i < length; i++) {
        const unit = text.charCodeAt(i)
        if (unit > 0x7f) break
        bytes[at++] = unit
      }
      if (i === length) {
        this.#head(MAJOR_TEXT, length)
        this.#at = at
        return
      }
    }
    // TextEncoder would silently replace a lone surrogate, and the peer would act on another name than the caller gave.
    if (!text.isWellFormed()) throw unencodable('a text string with a lone surrogate')
    if (length > MAX_ITEM_BYTES) throw tooLarge()
    const encoded = UTF8.encode(text)
    this.#head(MAJOR_TEXT, encoded.length)
    this.#append(encoded)
  }

  #simple(byte: number): void {
    this.#reserve(1)
    this.#bytes[this.#at++] = byte
  }

  #append(data: Uint8Array): void {
    this.#reserve(data.length)
    this.#bytes.set(data, this.#at)
    this.#at += data.length
  }

  #head(major: number, n: number): void {
    this.#reserve(MAX_HEAD_BYTES)
    this.#at = writeHead(this.#bytes, this.#at, major, n)
    if (this.#at > this.#limit) throw tooLarge()
  }

  /** Room for `n` more bytes. A head may reserve its most past the limit; what really ends beyond it is refused where it is written. */
  #reserve(n: number): void {
    const need = this.#at + n
    if (need > this.#limit + MAX_HEAD_BYTES) throw tooLarge()
    if (need <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(need, this.#bytes.length * 2))
    grown.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = grown
  }
}

const WRITER = new Writer()

/** Writes the initial byte and the shortest argument that holds `n` (RFC 8949 section 4.2.1); returns where it ends. */
function writeHead(bytes: Uint8Array, start: number, major: number, n: number): number {
  let at = start
  if (n < 24) {
    bytes[at++] = major | n
  } else if (n < 0x100) {
    bytes[at++] = major | 24
    bytes[at++] = n
  } else if (n < 0x1_0000) {
    bytes[at++] = major | 25
    bytes[at++] = n >>> 8
    bytes[at++] = n
  } else if (n < TWO_POW_32) {
    bytes[at++] = major | 26
    at = writeU32(bytes, at, n)
  } else {
    bytes[at++] = major | 27
    at = writeU32(bytes, at, Math.floor(n / TWO_POW_32))
    at = writeU32(bytes, at, n % TWO_POW_32)
  }
  return at
}

function writeU32(bytes: Uint8Array, at: number, n: number): number {
  bytes[at] = n >>> 24
  bytes[at + 1] = n >>> 16
  bytes[at + 2] = n >>> 8
  bytes[at + 3] = n
  return at + 4
}

function unencodable(cause: string): AuthorityError {
  return new AuthorityError('E_PROTOCOL', `cannot encode for the wire: ${cause}`)
}

function tooLarge(): AuthorityError {
  return new AuthorityError('E_FRAME_TOO_LARGE', `cannot encode for the wire: the item exceeds ${MAX_ITEM_BYTES} bytes`, {
    hint: 'send it in parts, or over a stream',
  })
}
