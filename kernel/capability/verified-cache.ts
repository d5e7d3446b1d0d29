import { MAX_VERIFIED } from './limits.ts'
import type { Mac } from './mac.ts'
import type { VerifiedToken } from './verified-token.ts'

const LABEL = new TextEncoder().encode('authority/cap/places/v1')

/**
 * Tokens that were genuine twice: most come once, and what is kept must be collected one day. Only whole successes get in, so a refusal costs what it always
 * did. Each has one place, which no guest can foresee and the next one there takes; what lies there is compared in a time that tells nothing of how much of a
 * guess is right.
 */
export class VerifiedCache {
  readonly #mac: Mac
  readonly #seed: number
  readonly #tokens: (VerifiedToken | undefined)[] = new Array(MAX_VERIFIED).fill(undefined)
  /** Fingerprints of the last ones, remembered or not. */
  readonly #seen = new Int32Array(MAX_VERIFIED)

  constructor(mac: Mac, runKey: Uint8Array) {
    this.#mac = mac
    this.#seed = new DataView(mac.hmac(runKey, LABEL).buffer).getUint32(0)
  }

  fingerprint(bytes: Uint8Array): number {
    return this.#mac.fingerprint(bytes, this.#seed) | 0
  }

  find(bytes: Uint8Array, fingerprint: number): VerifiedToken | undefined {
    const place = fingerprint & (MAX_VERIFIED - 1)
    if (this.#seen[place] !== fingerprint) return undefined
    const token = this.#tokens[place]
    return token !== undefined && this.#mac.equal(token.bytes, bytes) ? token : undefined
  }

  add(token: VerifiedToken, fingerprint: number): void {
    const place = fingerprint & (MAX_VERIFIED - 1)
    this.#tokens[place] = this.#seen[place] === fingerprint ? token : undefined
    this.#seen[place] = fingerprint
  }

  clear(): void {
    this.#tokens.fill(undefined)
    this.#seen.fill(0)
  }
}
