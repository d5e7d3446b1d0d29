import { AuthorityError } from '@authority/protocol'

/** Decoder of the LZ4 legacy frame, which Debian's cloud kernels use (LZ4 frame format, "Legacy frame"; LZ4 block format). Pure; every length is checked. */

/** Bytes one legacy block holds when decompressed, by the format. */
const BLOCK_BYTES = 8 * 1024 * 1024
const MAGIC = 0x184c2102

/** Decompresses a legacy frame. Throws E_IO when the stream is damaged, E_FRAME_TOO_LARGE past `maxBytes`. */
export function lz4Legacy(bytes: Uint8Array, maxBytes: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 8 || view.getUint32(0, true) !== MAGIC) throw damaged()
  const parts: Uint8Array[] = []
  let total = 0
  for (let at = 4; at < bytes.length; ) {
    if (at + 4 > bytes.length) throw damaged()
    const size = view.getUint32(at, true)
    at += 4
    if (size === 0 || at + size > bytes.length) throw damaged()
    const part = decodeBlock(bytes.subarray(at, at + size))
    at += size
    total += part.length
    if (total > maxBytes) throw new AuthorityError('E_FRAME_TOO_LARGE', `an lz4 stream grew past ${maxBytes} bytes`)
    parts.push(part)
  }
  const all = new Uint8Array(total)
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

function decodeBlock(input: Uint8Array): Uint8Array {
  const out = new Uint8Array(BLOCK_BYTES)
  let from = 0
  let to = 0
  /** A length of 15 in the token goes on in further bytes until one is below 255. */
  const extended = (start: number): number => {
    if (start !== 15) return start
    let length = start
    for (;;) {
      const byte = input[from++]
      if (byte === undefined) throw damaged()
      length += byte
      if (byte !== 255) return length
    }
  }
  for (;;) {
    const token = input[from++]
    if (token === undefined) throw damaged()
    const literals = extended(token >> 4)
    if (from + literals > input.length || to + literals > BLOCK_BYTES) throw damaged()
    out.set(input.subarray(from, from + literals), to)
    from += literals
    to += literals
    // The last sequence of a block is literals only.
    if (from === input.length) return out.subarray(0, to)
    if (from + 2 > input.length) throw damaged()
    const distance = (input[from] ?? 0) | ((input[from + 1] ?? 0) << 8)
    from += 2
    const length = extended(token & 15) + 4
    if (distance === 0 || distance > to || to + length > BLOCK_BYTES) throw damaged()
    copyMatch(out, to, distance, length)
    to += length
  }
}

/** A match may overlap what it writes: then the pattern of `distance` bytes repeats. */
function copyMatch(out: Uint8Array, to: number, distance: number, length: number): void {
  if (distance >= length) out.copyWithin(to, to - distance, to - distance + length)
  else for (let index = 0; index < length; index++) out[to + index] = out[to + index - distance] ?? 0
}

function damaged(): AuthorityError {
  return new AuthorityError('E_IO', 'an lz4 stream of the kernel package is damaged')
}
