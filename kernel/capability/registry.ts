import type { BlockBody } from './blocks.ts'
import { type Counters, freshCounters } from './counters.ts'
import { refuse } from './errors.ts'
import { MAX_IDLE_BLOCKS, MAX_LIVE_BLOCKS, MAX_REVOKED } from './limits.ts'
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
  /** False once the registry has let go of it: what it counted is gone with it. */
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

  /** Makes room for the ids of a token before any is added. Throws E_RATE_LIMIT when there is none. */
  reserveRoom(ids: readonly string[], nowMs: number): void {
    let fresh = 0
    for (const id of ids) if (!this.#live.has(id)) fresh += 1
    if (this.#live.size + fresh > MAX_LIVE_BLOCKS) this.#sweep(nowMs)
    if (this.#live.size + fresh > MAX_LIVE_BLOCKS)
      throw refuse(
        'E_RATE_LIMIT',
        `the run has ${MAX_LIVE_BLOCKS} different token blocks in use`,
        'Release handles, or reuse narrowed tokens instead of making new ones.',
      )
  }

  add(block: Omit<LiveBlock, 'counters' | 'holders' | 'known'>, counters: Counters = freshCounters(block.body)): LiveBlock {
    const live: LiveBlock = { ...block, counters, holders: 0, known: true }
    this.#live.set(block.id, live)
    if (!counts(live.body)) this.#idle += 1
    return live
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
      if (counts(block.body) && nowMs < block.expires && !this.#isDead(block)) continue
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
