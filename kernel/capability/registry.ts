import type { Limits } from './blocks.ts'
import type { Counters } from './counters.ts'
import { refuse } from './errors.ts'
import { MAX_LIVE_BLOCKS, MAX_REVOKED } from './limits.ts'
import type { VerifiedToken } from './verified-token.ts'

/** A block that has uses, a rate or a budget, and what it has used: one object for all tokens that have the block. */
export interface CountedBlock {
  /** Ids of the blocks above it and its own, root first. */
  readonly path: readonly string[]
  readonly id: string
  /** Where it stands in every token that has it; 0 is the root. */
  readonly index: number
  readonly limits: Limits
  /** ms since the epoch: what it and the blocks above it leave of the token's time. */
  readonly expires: number
  /** Null until it is kept. */
  counters: Counters | null
  /** Handles that hold it. */
  holders: number
  /** False before the registry keeps it and once it has let go of it. */
  known: boolean
}

/** The block ids a run keeps state for and the ones it has revoked; bounded, whatever guests bind. */
export class BlockRegistry {
  readonly #counted = new Map<string, CountedBlock>()
  readonly #revoked = new Set<string>()
  /** Blocks without counts of tokens that handles hold. */
  #plain = 0

  find(id: string): CountedBlock | undefined {
    return this.#counted.get(id)
  }

  /** For one more handle. Its counted blocks are kept from here on; they are returned where they have no counters yet. Throws E_RATE_LIMIT when there is no room. */
  hold(token: VerifiedToken, nowMs: number): readonly CountedBlock[] {
    const { counted } = token
    const plain = token.holders === 0 ? token.bodies.length - counted.length : 0
    this.#reserveRoom(counted, plain, nowMs)
    this.#plain += plain
    token.holders += 1
    if (counted.length === 0) return counted
    for (const block of counted) {
      block.holders += 1
      block.known = true
      this.#counted.set(block.id, block)
    }
    return counted.filter((block) => block.counters === null)
  }

  /** A block that counts stays until its time is over, or binding again would reset it; others go with the last handle. */
  letGo(token: VerifiedToken): void {
    token.holders -= 1
    if (token.holders === 0) this.#plain -= token.bodies.length - token.counted.length
    for (const block of token.counted) block.holders -= 1
  }

  /** Uses taken of every block that counts them. */
  *uses(): Generator<readonly [id: string, used: number]> {
    for (const { id, limits, counters } of this.#counted.values())
      if (limits.uses !== undefined && counters !== null) yield [id, limits.uses - counters.usesLeft]
  }

  revoke(id: string): void {
    if (this.#revoked.size >= MAX_REVOKED && !this.#revoked.has(id))
      throw refuse('E_RATE_LIMIT', `${MAX_REVOKED} blocks are revoked already`, 'Stop the run: all its tokens die with it.')
    this.#revoked.add(id)
  }

  get hasRevoked(): boolean {
    return this.#revoked.size > 0
  }

  /** The first revoked id of a token, root first, or null. */
  revokedAmong(ids: readonly string[]): string | null {
    if (this.#revoked.size === 0) return null
    return ids.find((id) => this.#revoked.has(id)) ?? null
  }

  #reserveRoom(counted: readonly CountedBlock[], plain: number, nowMs: number): void {
    if (this.#counted.size + this.#plain + counted.length + plain <= MAX_LIVE_BLOCKS) return
    this.#sweep(nowMs)
    const fresh = counted.filter((block) => !block.known).length
    if (this.#counted.size + this.#plain + fresh + plain > MAX_LIVE_BLOCKS)
      throw refuse(
        'E_RATE_LIMIT',
        `the run has ${MAX_LIVE_BLOCKS} token blocks in use`,
        'Release handles, or reuse narrowed tokens instead of making new ones.',
      )
  }

  #sweep(nowMs: number): void {
    for (const block of this.#counted.values()) {
      if (block.holders > 0 || (nowMs < block.expires && this.revokedAmong(block.path) === null)) continue
      block.known = false
      this.#counted.delete(block.id)
    }
  }
}

export function countsSomething({ uses, rate, budget }: Limits): boolean {
  return uses !== undefined || rate !== undefined || budget !== undefined
}
