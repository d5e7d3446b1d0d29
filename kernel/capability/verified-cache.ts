import { MAX_VERIFIED } from './limits.ts'
import type { LiveBlock } from './registry.ts'
import type { Validity } from './verify.ts'

/** What the verification of one text found: everything that cannot change while the run key lives. Time and revocation can, and are looked at again. */
export interface Verified {
  readonly validity: Validity
  /** Root first. */
  readonly ids: readonly string[]
  /** The registry may have let go of some since. */
  readonly blocks: readonly LiveBlock[]
}

/**
 * Tokens that were genuine once, by SHA-256 of their text: a token is bound again with every session. Only whole successes get in, so a refusal costs what
 * it always did; the key is a hash because a comparison of texts would tell by its time how much of a guess is right.
 */
export class VerifiedCache {
  readonly #byHash = new Map<string, Verified>()

  find(hash: string): Verified | undefined {
    return this.#byHash.get(hash)
  }

  /** The oldest makes room. */
  add(hash: string, verified: Verified): void {
    this.#byHash.delete(hash)
    if (this.#byHash.size >= MAX_VERIFIED) for (const oldest of this.#byHash.keys()) if (this.#byHash.delete(oldest)) break
    this.#byHash.set(hash, verified)
  }

  clear(): void {
    this.#byHash.clear()
  }
}
