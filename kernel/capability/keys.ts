import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { KEY_ID_BYTES } from './token.ts'

/** Bytes of a root and of a run key. */
export const KEY_BYTES = 32
const LABEL_CAP = 'authority/cap/v1'
const LABEL_KEY_ID = 'authority/cap/kid/v1'

/**
 * K_run (32 bytes) = HKDF-SHA256 (RFC 5869) of a secret, bound to installation and run: the same secret gives no token that another run or installation takes.
 * The secret is random per run; `gate serve` keeps its own across restarts.
 */
export function deriveRunKey(secret: Uint8Array, installation: string, run: Uint8Array): Uint8Array {
  if (secret.length !== KEY_BYTES) throw new RangeError(`a capability secret has ${KEY_BYTES} bytes, not ${secret.length}`)
  const name = new TextEncoder().encode(installation)
  if (name.length > 255) throw new RangeError('an installation name has at most 255 bytes')
  const label = new TextEncoder().encode(LABEL_CAP)
  // The length byte keeps the end of the name and the start of the run apart.
  return hkdf(sha256, secret, undefined, Uint8Array.of(...label, name.length, ...name, ...run), KEY_BYTES)
}

/** First bytes of a labelled hash of the key: tells a token of another run from a damaged one before any MAC is computed. */
export function keyIdOf(runKey: Uint8Array): Uint8Array {
  const label = new TextEncoder().encode(LABEL_KEY_ID)
  return sha256(Uint8Array.of(...label, ...runKey)).slice(0, KEY_ID_BYTES)
}
