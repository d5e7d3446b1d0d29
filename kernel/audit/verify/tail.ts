/** Tells what a crash leaves at the end of a log from what a person does (FORMAT.md "Torn tail"). */

import { frameLength, wholeFrame } from './frame-check.ts'
import type { Input } from './input.ts'
import { FRAME_HEADER, MAX_FLUSH, MAX_PAYLOAD, MAX_TAIL, SECTOR } from './limits.ts'
import { Tampered } from './verdict.ts'

/** `next` is the sequence number the first bad frame should have had. Throws Tampered when no crash explains the bytes. */
export function judgeTail(input: Input, at: number, salt: number, next: number): { kind: 'zeros' | 'torn'; bytes: number } {
  const bad = (why: string): Tampered => new Tampered(why, input.path, at, next)
  const tail = Buffer.from(input.view(at, Math.min(MAX_TAIL, input.size - at)))
  const rest = lastNonZero(input, at + tail.length)
  if (rest) throw bad('bytes follow the last whole record that no flush wrote')
  let end = tail.length
  while (end > 0 && tail[end - 1] === 0) end--
  if (end === 0) return { kind: 'zeros', bytes: 0 }
  const claimed = tail.length >= 2 ? tail.readUInt16BE(0) : 0
  const possible = claimed >= 2 && claimed <= MAX_PAYLOAD
  const says = possible ? frameLength(claimed) : SECTOR - (at % SECTOR)
  const stopped = end < (possible ? FRAME_HEADER + claimed : says)
  if (says <= tail.length && !stopped && !hasLostSector(tail.subarray(0, says), at)) throw bad(`record ${next} is broken`)
  for (let p = 8; p + FRAME_HEADER <= end; p += 8) {
    const seq = tail.readUInt32BE(p + 8) * 2 ** 32 + tail.readUInt32BE(p + 12)
    if (seq < next - MAX_FLUSH || seq > next + 2 * MAX_FLUSH) continue
    const length = tail.readUInt16BE(p)
    const total = frameLength(length)
    if (length < 2 || length > MAX_PAYLOAD || p + total > tail.length || !wholeFrame(tail, p, length, salt)) continue
    // A frame of a later flush: the broken one had been acknowledged before it was written.
    if (seq <= next || seq - tail.readUInt16BE(p + 2) > next) throw bad(`record ${next} is broken and record ${seq} behind it is whole`)
  }
  return { kind: 'torn', bytes: end }
}

/** A sector of the bytes at this offset of a file that reads as zeros. Whole frames have none (the last byte of a payload is `}`), nor have notes. */
export function hasLostSector(frame: Buffer, offset: number): boolean {
  for (let from = 0; from < frame.length; ) {
    const to = Math.min(frame.length, from + SECTOR - ((offset + from) % SECTOR))
    if (frame.subarray(from, to).every((b) => b === 0)) return true
    from = to
  }
  return false
}

function lastNonZero(input: Input, from: number): boolean {
  for (let at = from; at < input.size; at += MAX_TAIL)
    if (input.view(at, Math.min(MAX_TAIL, input.size - at)).some((b) => b !== 0)) return true
  return false
}
