/** Whether the bytes are one whole frame (FORMAT.md "Frame"). */
import { FRAME_HEADER } from './limits.ts'
import { crcAdd, crcAddWords, crcEnd } from './primitives.ts'

/** Header, payload and padding of a payload of this length. */
export function frameLength(payload: number): number {
  return FRAME_HEADER + payload + ((8 - (payload % 8)) % 8)
}

/**
 * Checksum of the frame at `at` over salt ‖ seq ‖ length ‖ back ‖ chain ‖ payload, and zeros behind the payload. The bytes are there.
 * `words`, when given, are the same bytes as numbers of 32 bits (every machine this runs on is little-endian): eight bytes a step.
 */
export function wholeFrame(bytes: Buffer, at: number, length: number, salt: number, words: Int32Array | null = null): boolean {
  const end = at + FRAME_HEADER + length
  let crc = crcAdd(salt, bytes, at + 8, at + 16)
  crc = crcAdd(crc, bytes, at, at + 4)
  crc = words === null || (bytes.byteOffset + at) % 4 !== 0 ? crcAdd(crc, bytes, at + 16, end) : byWords(crc, bytes, words, at + 16, end)
  if (crcEnd(crc) !== bytes.readUInt32BE(at + 4)) return false
  for (let i = end; i < at + frameLength(length); i++) if (bytes[i] !== 0) return false
  return true
}

function byWords(state: number, bytes: Buffer, words: Int32Array, from: number, to: number): number {
  const whole = (to - from) & ~7
  return crcAdd(crcAddWords(state, words, from / 4, (from + whole) / 4), bytes, from + whole, to)
}
