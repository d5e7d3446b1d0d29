import type { BlockBody } from './blocks.ts'
import type { Counters } from './counters.ts'
import { refuse } from './errors.ts'
import { MAX_IDLE_BLOCKS, MAX_LIVE_BLOCKS, MAX_REVOKED } from './limits.ts'
import type { Rules } from './rules.ts'
import type { Validity } from './verify.ts'

/** One block id of this run and what it has used. All tokens that share the block share this. */
export interface LiveBlock {
  readonly id: string
  /** Where it stands in every token that has it; 0 is the root. */
  readonly index: number
  readonly parent: LiveBlock | null
  readonly body: BlockBody
  rules: Rules
  counters: Counters
  /** What it and the blocks above it leave of the token's time. */
  readonly validity: Validity
  /** Handles that hold it. */
  holders: number
  /** False before the registry keeps it and once it has let go of it. */
  known: boolean
}

/** The block ids a run knows and the ones it has revoked; bounded, whatever guests bind. */
export class BlockRegistry {
  readonly #live = new Map<string, LiveBlock>()
  readonly #revoked = new Set<string>()
  #idle = 0

  find(id: string): LiveBlock | undefined {
    return this.#live.get(id)
  }

  /** Makes room for the blocks of a token before any is added. Throws E_RATE_LIMIT when there is none. */
  reserveRoom(blocks: readonly LiveBlock[], nowMs: number): void {
    if (this.#live.size + blocks.length <= MAX_LIVE_BLOCKS) return
    this.#sweep(nowMs)
    const fresh = blocks.filter((block) => !block.known).length
    if (this.#live.size + fresh > MAX_LIVE_BLOCKS)
      throw refuse(
        'E_RATE_LIMIT',
        `the run has ${MAX_LIVE_BLOCKS} different token blocks in use`,
        'Release handles, or reuse narrowed tokens instead of making new ones.',
      )
  }

  /** Twice: no-op. */
  add(block: LiveBlock): void {
    if (block.known) return
    block.known = true
    this.#live.set(block.id, block)
    if (!counts(block.body)) this.#idle += 1
  }

  /** Uses taken of every block that counts them. */
  *uses(): Generator<readonly [id: string, used: number]> {
    for (const { id, body, counters } of this.#live.values()) if (body.uses !== undefined) yield [id, body.uses - counters.usesLeft]
  }

  hold(blocks: readonly LiveBlock[]): void {
    for (const block of blocks) {
      if (block.holders === 0 && !counts(block.body)) this.#idle -= 1
      block.holders += 1
    }
  }

  /** A block that counts nothing may be forgotten after its last handle; one that does stays until its time is over, or binding again would reset it. */
  letGo(blocks: readonly LiveBlock[]): void {
    for (const block of blocks) {
      block.holders -= 1
      if (block.holders > 0 || counts(block.body)) continue
      if (this.#idle < MAX_IDLE_BLOCKS) this.#idle += 1
      else this.#forget(block)
    }
  }

  revoke(id: string): void {
    if (this.#revoked.size >= MAX_REVOKED && !this.#revoked.has(id))
      throw refuse('E_RATE_LIMIT', `${MAX_REVOKED} blocks are revoked already`, 'Stop the run: all its tokens die with it.')
    this.#revoked.add(id)
  }

  /** The first revoked id of a token, root first, or null. */
  revokedAmong(ids: readonly string[]): string | null {
    if (this.#revoked.size === 0) return null
    return ids.find((id) => this.#revoked.has(id)) ?? null
  }

  #sweep(nowMs: number): void {
    for (const block of this.#live.values()) {
      if (block.holders > 0) continue
      if (counts(block.body) && nowMs < block.validity.expires && !this.#isDead(block)) continue
      this.#forget(block)
      if (!counts(block.body)) this.#idle -= 1
    }
  }

  #forget(block: LiveBlock): void {
    block.known = false
    this.#live.delete(block.id)
  }

  #isDead(block: LiveBlock): boolean {
    for (let each: LiveBlock | null = block; each !== null; each = each.parent) if (this.#revoked.has(each.id)) return true
    return false
  }
}

function counts({ uses, rate, budget }: BlockBody): boolean {
  return uses !== undefined || rate !== undefined || budget !== undefined
}
