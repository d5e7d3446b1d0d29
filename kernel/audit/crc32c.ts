/** CRC-32C (Castagnoli, reflected 0x82F63B78, RFC 3720 appendix B.4), sixteen bytes a step, then four, then one. It finds accidents and torn writes; the hashes find people. */
const POLYNOMIAL = 0x82f63b78
/** Signed: in an array of unsigned numbers half of the values are floats to the engine, and the CRC costs twice as much. */
const T = makeTables()

function makeTables(): Int32Array {
  const t = new Int32Array(16 * 256)
  for (let n = 0; n < 256; n++) {
    let c = n
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ POLYNOMIAL : c >>> 1
    t[n] = c
  }
  for (let i = 256; i < t.length; i++) {
    const before = t[i - 256] ?? 0
    t[i] = (t[before & 0xff] ?? 0) ^ (before >>> 8)
  }
  return t
}

/** CRC of `bytes[from, to)`, continuing `crc` (0 to begin). Unsigned 32 bits. */
export function crc32c(bytes: Uint8Array, crc = 0, from = 0, to = bytes.length): number {
  let c = ~crc
  let i = from
  const b = bytes as { readonly [index: number]: number }
  const t = T as { readonly [index: number]: number }
  const at = (table: number, value: number): number => t[table * 256 + value] as number
  for (const end = to - 15; i < end; i += 16) {
    c ^= (b[i] as number) | ((b[i + 1] as number) << 8) | ((b[i + 2] as number) << 16) | ((b[i + 3] as number) << 24)
    c =
      at(15, c & 0xff) ^
      at(14, (c >>> 8) & 0xff) ^
      at(13, (c >>> 16) & 0xff) ^
      at(12, c >>> 24) ^
      at(11, b[i + 4] as number) ^
      at(10, b[i + 5] as number) ^
      at(9, b[i + 6] as number) ^
      at(8, b[i + 7] as number) ^
      at(7, b[i + 8] as number) ^
      at(6, b[i + 9] as number) ^
      at(5, b[i + 10] as number) ^
      at(4, b[i + 11] as number) ^
      at(3, b[i + 12] as number) ^
      at(2, b[i + 13] as number) ^
      at(1, b[i + 14] as number) ^
      at(0, b[i + 15] as number)
  }
  for (const end = to - 3; i < end; i += 4) {
    c ^= (b[i] as number) | ((b[i + 1] as number) << 8) | ((b[i + 2] as number) << 16) | ((b[i + 3] as number) << 24)
    c = at(3, c & 0xff) ^ at(2, (c >>> 8) & 0xff) ^ at(1, (c >>> 16) & 0xff) ^ at(0, c >>> 24)
  }
  for (; i < to; i++) c = at(0, (c ^ (b[i] as number)) & 0xff) ^ (c >>> 8)
  return ~c >>> 0
}
