/**
 * Strict canonical base64url (RFC 4648 section 5, no padding): one text per byte string. A lenient decoder would give one token many spellings, and whatever is
 * remembered by its text could be walked around.
 */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const NONE = 0xff

const VALUE = new Uint8Array(128).fill(NONE)
for (let i = 0; i < ALPHABET.length; i++) VALUE[ALPHABET.charCodeAt(i)] = i

export function encodeBase64url(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i
    const group = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
    text += ALPHABET[group >> 18]
    text += ALPHABET[(group >> 12) & 63]
    if (left > 1) text += ALPHABET[(group >> 6) & 63]
    if (left > 2) text += ALPHABET[group & 63]
  }
  return text
}

/**
 * The bytes of `text` from `start`, or null when any character is outside the alphabet, the length is impossible, or the unused bits of the last
 * character are not zero. The caller has bounded the length.
 */
export function decodeBase64url(text: string, start = 0): Uint8Array | null {
  const length = text.length - start
  const tail = length % 4
  if (length < 0 || tail === 1) return null
  const bytes = new Uint8Array(Math.floor((length * 3) / 4))
  let at = 0
  let bits = 0
  let held = 0
  for (let i = start; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    const value = unit < 128 ? (VALUE[unit] ?? NONE) : NONE
    if (value === NONE) return null
    held = ((held << 6) | value) & 0xffff
    bits += 6
    if (bits >= 8) {
      bits -= 8
      bytes[at++] = held >> bits
    }
  }
  if ((held & ((1 << bits) - 1)) !== 0) return null
  return bytes
}
