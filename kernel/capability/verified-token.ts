import type { BlockBody } from './blocks.ts'
import { idsOf, type VerifiedChain } from './chain.ts'
import type { Mac } from './mac.ts'
import type { CountedBlock } from './registry.ts'
import type { Rules } from './rules.ts'
import type { Validity } from './verify.ts'

/** What the verification of a token found. Time and revocation change, and are looked at with every use. */
export class VerifiedToken {
  /** The token itself: another is another, to the bit. */
  readonly bytes: Uint8Array
  readonly names: BlockNames
  /** Root first, as are `rules`; null where the body can be asked as it is. */
  readonly bodies: readonly BlockBody[]
  readonly rules: readonly (Rules | null)[]
  readonly validity: Validity
  /** Those of its blocks that count something. */
  readonly counted: readonly CountedBlock[]
  /** Handles that hold it. */
  holders = 0
  /** Id of the revoked block that killed it. */
  revokedBy: string | null = null

  constructor(
    bytes: Uint8Array,
    names: BlockNames,
    bodies: readonly BlockBody[],
    rules: readonly (Rules | null)[],
    validity: Validity,
    counted: readonly CountedBlock[],
  ) {
    this.bytes = bytes
    this.names = names
    this.bodies = bodies
    this.rules = rules
    this.validity = validity
    this.counted = counted
  }
}

/** What an allowed question is answered: the ids of the token's blocks. They are made of the chain values when somebody asks, and then those are gone. */
export class BlockNames {
  readonly allow = true
  readonly #mac: Mac
  #chain: VerifiedChain | null
  #ids: readonly string[] = []

  constructor(mac: Mac, chain: VerifiedChain) {
    this.#mac = mac
    this.#chain = chain
  }

  /** Root first. */
  get blocks(): readonly string[] {
    if (this.#chain !== null) {
      this.#ids = idsOf(this.#mac, this.#chain)
      this.#chain.values.fill(0)
      this.#chain = null
    }
    return this.#ids
  }
}
