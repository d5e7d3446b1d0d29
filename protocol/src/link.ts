import { encodeFrame } from './encode.ts'
import { AuthorityError } from './errors.ts'
import { LINK_HEADER_BYTES } from './limits.ts'

export { encodeFrame }

/** Bytes after the length field of the smallest frame: a session number and a one-byte item. */
const MIN_FRAME_BYTES = 5
/** First room for a frame that arrives in pieces; doubled as bytes arrive, never ahead of a claim. */
const FIRST_PIECE_BYTES = 1024

export type OnFrame = (session: number, item: Uint8Array) => void

/**
 * Cuts a byte stream into link frames (u32 length, u32 session, item; big-endian), however the transport split or merged them.
 * A frame inside one chunk is handed on as a view of the chunk; a frame in pieces is gathered once in its own buffer. Both may be kept if the chunk may.
 * Memory: less than one frame, and at most twice what was received of it, whatever its header claims.
 */
export class LinkReader {
  readonly #maxFrameBytes: number
  readonly #header = new Uint8Array(LINK_HEADER_BYTES)
  #headerBytes = 0
  /** Bytes of the item of the frame being gathered; known once the header is whole. */
  #itemBytes = 0
  #session = 0
  #item: Uint8Array | null = null
  #gathered = 0
  #failure: AuthorityError | null = null
  #stopped = false

  constructor(options: { readonly maxFrameBytes: number }) {
    this.#maxFrameBytes = options.maxFrameBytes
  }

  /** Bytes held of a frame that is not complete yet. */
  get buffered(): number {
    return this.#headerBytes + this.#gathered
  }

  /** Delivers nothing more, not even what is left of the chunk being read: for a receiver that ends the link inside `onFrame`. */
  stop(): void {
    this.#stopped = true
    this.#reset()
  }

  /**
   * Takes the next bytes and calls `onFrame` once per completed frame, in order.
   * Throws E_FRAME_TOO_LARGE or E_PROTOCOL for an impossible length, before anything is allocated for it; from then on every push throws the same,
   * since the stream can no longer be cut. What `onFrame` throws passes through and breaks the reader likewise: a receiver of many sessions catches per session.
   */
  push(chunk: Uint8Array, onFrame: OnFrame): void {
    if (this.#failure !== null) throw this.#failure
    try {
      let at = 0
      while (at < chunk.length && !this.#stopped) at = this.#take(chunk, at, onFrame)
    } catch (error) {
      this.#reset()
      this.#failure =
        error instanceof AuthorityError ? error : new AuthorityError('E_INTERNAL', 'a frame could not be handled', { cause: error })
      throw error
    }
  }

  /** Consumes from `at` up to the end of one frame at most; returns the new position. */
  #take(chunk: Uint8Array, at: number, onFrame: OnFrame): number {
    if (this.#headerBytes === 0 && chunk.length - at >= LINK_HEADER_BYTES) {
      this.#itemBytes = this.#checkedLength(chunk, at)
      this.#session = readU32(chunk, at + 4)
      const start = at + LINK_HEADER_BYTES
      const end = start + this.#itemBytes
      if (end <= chunk.length) {
        onFrame(this.#session, chunk.subarray(start, end))
        return end
      }
      this.#headerBytes = LINK_HEADER_BYTES
      return this.#gather(chunk, start, onFrame)
    }
    if (this.#headerBytes < LINK_HEADER_BYTES) return this.#gatherHeader(chunk, at)
    return this.#gather(chunk, at, onFrame)
  }

  #gatherHeader(chunk: Uint8Array, from: number): number {
    let at = from
    while (this.#headerBytes < LINK_HEADER_BYTES && at < chunk.length) this.#header[this.#headerBytes++] = chunk[at++] as number
    if (this.#headerBytes >= 4) this.#itemBytes = this.#checkedLength(this.#header, 0)
    if (this.#headerBytes === LINK_HEADER_BYTES) this.#session = readU32(this.#header, 4)
    return at
  }

  #gather(chunk: Uint8Array, at: number, onFrame: OnFrame): number {
    const take = Math.min(this.#itemBytes - this.#gathered, chunk.length - at)
    const item = this.#room(this.#gathered + take)
    item.set(chunk.subarray(at, at + take), this.#gathered)
    this.#gathered += take
    if (this.#gathered === this.#itemBytes) {
      const session = this.#session
      const whole = item.subarray(0, this.#itemBytes)
      this.#reset()
      onFrame(session, whole)
    }
    return at + take
  }

  /** The gathering buffer with room for `need` bytes: doubled, so all the copying of one frame is at most twice its size. */
  #room(need: number): Uint8Array {
    const current = this.#item
    if (current !== null && current.length >= need) return current
    const grown = new Uint8Array(Math.min(this.#itemBytes, Math.max(FIRST_PIECE_BYTES, need, (current?.length ?? 0) * 2)))
    if (current !== null) grown.set(current.subarray(0, this.#gathered))
    this.#item = grown
    return grown
  }

  #checkedLength(header: Uint8Array, at: number): number {
    const length = readU32(header, at)
    if (length > this.#maxFrameBytes) {
      throw new AuthorityError('E_FRAME_TOO_LARGE', `a link frame of ${length} bytes, ${this.#maxFrameBytes} are allowed`)
    }
    if (length < MIN_FRAME_BYTES)
      throw new AuthorityError('E_PROTOCOL', `a link frame of ${length} bytes, the smallest has ${MIN_FRAME_BYTES}`)
    return length - 4
  }

  #reset(): void {
    this.#headerBytes = 0
    this.#itemBytes = 0
    this.#item = null
    this.#gathered = 0
  }
}

function readU32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) >>> 0
  )
}
