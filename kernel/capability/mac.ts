import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'

/** What the chain needs of cryptography: HMAC-SHA256 under a key, SHA-256, and a comparison whose time tells nothing. */
export interface Mac {
  /** Prepares a 32-byte key; the returned function may be called any number of times and gives 32 bytes. */
  keyed(key: Uint8Array): (message: Uint8Array) => Uint8Array
  digest(message: Uint8Array): Uint8Array
  /** SHA-256 of a text of ASCII, as text. */
  fingerprint(text: string): string
  equal(a: Uint8Array, b: Uint8Array): boolean
}

/** Runs anywhere JavaScript does: for attenuation in agents and tools, and as the oracle of the gate's native one (mac-bun.ts). */
export const portableMac: Mac = {
  keyed: (key) => (message) => hmac(sha256, key, message),
  digest: (message) => sha256(message),
  fingerprint: (text) => String.fromCharCode(...sha256(new TextEncoder().encode(text))),
  equal: (a, b) => {
    if (a.length !== b.length) return false
    let difference = 0
    for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0)
    return difference === 0
  },
}
