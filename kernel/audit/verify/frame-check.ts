/** Whether the bytes are one whole frame (FORMAT.md "Frame"). */
import { FRAME_HEADER } from './limits.ts'
import { crcAdd, crcEnd } from './primitives.ts'

/** Header, payload and padding of a payload of this length. */
export function frameLength(payload: number): number {
  return FRAME_HEADER + payload + ((8 - (payload % 8)) % 8)
}

/** Checksum over salt ‖ seq ‖ length ‖ back ‖ chain ‖ payload, and zeros behind the payload. */
export function wholeFrame(frame: Buffer, length: number, salt: number): boolean {
  let crc = crcAdd(salt, frame, 8, 16)
  crc = crcAdd(crc, frame, 0, 4)
  crc = crcAdd(crc, frame, 16, FRAME_HEADER + length)
  if (crcEnd(crc) !== frame.readUInt32BE(4)) return false
  for (let i = FRAME_HEADER + length; i < frame.length; i++) if (frame[i] !== 0) return false
  return true
}
