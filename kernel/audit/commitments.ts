/** Keyed commitments to values the log does not hold: whoever has the key and a value can show it was this one; erase the key and nothing can be guessed. */
import { type HexMac, hmacSha256, sha256, toHex } from './hash.ts'

export const COMMITMENT_KEY_FILE = 'commitments.key'
export const COMMITMENT_KEY_BYTES = 32

export class Commitments {
  /** Names the key in RUN_START without giving it away. */
  readonly id: string
  readonly #mac: HexMac

  constructor(key: Uint8Array) {
    if (key.length !== COMMITMENT_KEY_BYTES) throw new RangeError(`a commitment key has ${COMMITMENT_KEY_BYTES} bytes`)
    this.id = toHex(sha256(key))
    this.#mac = hmacSha256(key)
  }

  /** HMAC-SHA256 in hex. Text is taken as UTF-8. */
  commit(value: Uint8Array | string): string {
    return this.#mac(typeof value === 'string' ? new TextEncoder().encode(value) : value)
  }
}
