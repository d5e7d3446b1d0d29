import { timingSafeEqual } from 'node:crypto'
import type { Mac } from './mac.ts'

/** Bun's native hasher: the gate's. A keyed hasher serves once, so the prepared one is copied per message (research: 13–20× the portable one). */
export const bunMac: Mac = {
  keyed: (key) => {
    const prepared = new Bun.CryptoHasher('sha256', key)
    return (message) => prepared.copy().update(message).digest()
  },
  digest: (message) => Bun.SHA256.hash(message, new Uint8Array(32)) as Uint8Array,
  fingerprint: (text) => Bun.SHA256.hash(text, 'base64'),
  equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
}
