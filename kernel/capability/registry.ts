import type { BlockBody } from './blocks.ts'
import { type Counters, freshCounters } from './counters.ts'
import { refuse } from './errors.ts'
import { MAX_LIVE_BLOCKS, MAX_REVOKED } from './limits.ts'
import type { Rules } from './rules.ts'

/** One block id of this run and what it has used. All tokens that share the block share this. */
export interface LiveBlock {
  readonly id: string
  readonly parent: LiveBlock | null
  readonly body: BlockBody
  readonly rules: Rules
  readonly counters: Counters
  /** ms since the epoch after which no token with this block can be valid. */
  readonly expires: number
  /** Handles that hold it. */
  holders: number
}

/** The block ids a run knows and the ones it has revoked; bounded, whatever guests bind. */
export class BlockRegistry {
  readonly #live = new Map<string, LiveBlock>()
  readonly #revoked = new Set<string>()

  find(id: string): LiveBlock | undefined {
    return this.#live.get(id)
  }

  /** Makes room for the ids of a token before any is added. Throws E_RATE_LIMIT when there is none. */
  reserveRoom(ids: readonly string[], nowMs: number): void {
    const fresh = ids.filter((id) => !this.#live.has(id)).length
    if (this.#live.size + fresh > MAX_LIVE_BLOCKS) this.#sweep(nowMs)
    if (this.#live.size + fresh > MAX_LIVE_BLOCKS)
      throw refuse(
        'E_RATE_LIMIT',
        `the run has ${MAX_LIVE_BLOCKS} different token blocks in use`,
        'Release handles, or reuse narrowed tokens instead of making new ones.',
      )
  }

  add(block: Omit<LiveBlock, 'counters' | 'holders'>): LiveBlock {
    const live: LiveBlock = { ...block, counters: freshCounters(block.body), holders: 0 }
    this.#live.set(block.id, live)
    return live
  }

  hold(blocks: readonly LiveBlock[]): void {
    for (const block of blocks) block.holders += 1
  }

  /** A block that counts nothing is forgotten with its last handle; one that does stays until its time is over, or binding again would reset it. */
  letGo(blocks: readonly LiveBlock[]): void {
    for (const block of blocks) {
      block.holders -= 1
      if (block.holders === 0 && !counts(block.body)) this.#live.delete(block.id)
    }
  }

  revoke(id: string): void {
    if (this.#revoked.size >= MAX_REVOKED && !this.#revoked.has(id))
      throw refuse('E_RATE_LIMIT', `${MAX_REVOKED} blocks are revoked already`, 'Stop the run: all its tokens die with it.')
    this.#revoked.add(id)
  }

  /** The first revoked id of a token, root first, or null. */
  revokedAmong(ids: readonly string[]): string | null {
    return ids.find((id) => this.#revoked.has(id)) ?? null
  }

  #sweep(nowMs: number): void {
    for (const block of this.#live.values())
      if (block.holders === 0 && (nowMs >= block.expires || this.#isDead(block))) this.#live.delete(block.id)
  }

  #isDead(block: LiveBlock): boolean {
    for (let each: LiveBlock | null = block; each !== null; each = each.parent) if (this.#revoked.has(each.id)) return true
    return false
  }
}

function counts({ uses, rate, budget }: BlockBody): boolean {
  return uses !== undefined || rate !== undefined || budget !== undefined
}
