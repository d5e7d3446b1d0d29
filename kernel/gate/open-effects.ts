import type { PipelineLease } from './lease.ts'
import { WITHDRAW_MS } from './limits.ts'

/** What admitted effects left open: handles and streams, by the lease each spends. Here, and nowhere else, they are ended before their owner closes them. */
export class OpenEffects {
  private readonly leases = new Set<PipelineLease>()

  get size(): number {
    return this.leases.size
  }

  opened(lease: PipelineLease): void {
    this.leases.add(lease)
  }

  closed(lease: PipelineLease): void {
    this.leases.delete(lease)
  }

  /**
   * Ends what a revocation, another policy or the end of a token's time took away, without waiting for its next byte. Synchronous up to the last of them; resolves
   * when all are closed and recorded, or had WITHDRAW_MS for it.
   */
  async endWithdrawn(): Promise<void> {
    const ending = [...this.leases].flatMap((lease) => lease.endIfWithdrawn() ?? [])
    if (ending.length === 0) return
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, WITHDRAW_MS)
    })
    await Promise.race([Promise.allSettled(ending), late])
    clearTimeout(timer)
  }
}
