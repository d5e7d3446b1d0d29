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

/** The runtime's own decoder (ECMA-262 2026), many times quicker than a loop, where there is one. */
const NATIVE = (Uint8Array as { readonly fromBase64?: (text: string, options: { readonly alphabet: 'base64url' }) => Uint8Array })
  .fromBase64
const OPTIONS = { alphabet: 'base64url' } as const

/**
 * The bytes of `text` from `start`, or null when any character is outside the alphabet, the length is impossible, or the unused bits of the last
 * character are not zero. The caller has bounded the length.
 */
export function decodeBase64url(text: string, start = 0): Uint8Array | null {
  return NATIVE === undefined ? decodePortably(text, start) : decodeNatively(text, start)
}

/** The native decoder refuses what is outside the alphabet, but skips spaces, takes padding, and drops unused bits whatever they are. */
function decodeNatively(text: string, start: number): Uint8Array | null {
  const length = text.length - start
  if (length < 0 || length % 4 === 1) return null
  let bytes: Uint8Array
  try {
    bytes = (NATIVE as NonNullable<typeof NATIVE>)(text.slice(start), OPTIONS)
  } catch {
    return null
  }
  // A character that gave no bits (a space, padding) leaves fewer bytes than the length stands for: since 4n+1 is impossible, always.
  if (bytes.length !== byteLength(length)) return null
  const unused = (length * 6) % 8
  const last = unused === 0 ? 0 : (VALUE[text.charCodeAt(text.length - 1)] ?? NONE)
  return (last & ((1 << unused) - 1)) === 0 ? bytes : null
}

export function decodePortably(text: string, start = 0): Uint8Array | null {
  const length = text.length - start
  if (length < 0 || length % 4 === 1) return null
  const bytes = new Uint8Array(byteLength(length))
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

function byteLength(characters: number): number {
  return Math.floor((characters * 3) / 4)
}
