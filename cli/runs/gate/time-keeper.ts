import type { AuditStage } from '@authority/kernel/audit'
import {
  type BudgetStage,
  createTimeSlices,
  type ExhaustedTime,
  type PoolShare,
  RUN_ACCOUNT,
  type TimeSlices,
} from '@authority/kernel/budget'
import type { Clock } from '@authority/kernel/vocabulary'

/** ms between two TIME records. */
const RECORD_MS = 10_000

/** Spends the run's wall and CPU time in slices, of the run's budget and of what runs share; calls back once when either is used up, with a sentence. */
export class TimeKeeper {
  private readonly slices: TimeSlices
  private readonly audit: AuditStage
  private readonly onExhausted: (why: string) => void
  private readonly shared: PoolShare | null
  private readonly unwritten = { wall_time_ms: 0, cpu_ms: 0 }
  private readonly clock: Clock
  private lastRecord: number
  private timer: ReturnType<typeof setTimeout> | undefined
  private over = false
  private usedUp = false
  /** CPU time of the machine in ms: the larger of what the host measured of QEMU and what the guest claims. */
  cpuMs = 0

  constructor(options: {
    readonly budget: BudgetStage
    readonly audit: AuditStage
    readonly clock: Clock
    readonly cpus: number
    readonly shared: PoolShare | null
    readonly onExhausted: (why: string) => void
  }) {
    const { shared } = options
    this.shared = shared
    this.slices = createTimeSlices({
      ...options,
      accounts: (dimension) => [RUN_ACCOUNT, ...(shared?.shares(dimension) === true ? [shared.account] : [])],
    })
    this.audit = options.audit
    this.clock = options.clock
    this.onExhausted = options.onExhausted
    this.lastRecord = options.clock.monotonicMs()
    this.tick()
  }

  /** The run may not even begin. */
  get isUsedUp(): boolean {
    return this.usedUp
  }

  /** Settles what has begun and writes the last TIME record. */
  stop(): void {
    if (this.over) return
    this.over = true
    clearTimeout(this.timer)
    this.add(this.slices.stop(this.cpuMs).captured)
    this.write()
  }

  private tick(): void {
    const { captured, exhausted, nextMs } = this.slices.tick(this.cpuMs)
    this.add(captured)
    if (this.clock.monotonicMs() - this.lastRecord >= RECORD_MS) this.write()
    if (exhausted !== null) {
      this.usedUp = true
      return this.onExhausted(usedUp(exhausted))
    }
    // Where it fails, time ends with what is leased.
    this.shared?.leaseTime().catch(() => undefined)
    this.timer = setTimeout(() => this.tick(), nextMs)
  }

  private add(captured: { readonly wall_time_ms: number; readonly cpu_ms: number }): void {
    this.unwritten.wall_time_ms += captured.wall_time_ms
    this.unwritten.cpu_ms += captured.cpu_ms
  }

  private write(): void {
    // The end has its room; until then time is added up.
    if (this.audit.tight && !this.over) return
    this.lastRecord = this.clock.monotonicMs()
    const { wall_time_ms, cpu_ms } = this.unwritten
    if (wall_time_ms + cpu_ms === 0) return
    try {
      this.audit.append({ type: 'TIME', captured: { ...(wall_time_ms > 0 ? { wall_time_ms } : {}), ...(cpu_ms > 0 ? { cpu_ms } : {}) } })
    } catch {
      // A latched log ends the run by itself.
    }
    this.unwritten.wall_time_ms = 0
    this.unwritten.cpu_ms = 0
  }
}

const NAMES: Readonly<Record<ExhaustedTime['dimension'], string>> = { wall_time_ms: 'wall time', cpu_ms: 'CPU time' }

function usedUp({ account, dimension }: ExhaustedTime): string {
  if (account === RUN_ACCOUNT) return `its ${NAMES[dimension]} budget is used up`
  return `the ${NAMES[dimension]} that runs share is used up, see \`authority budget limit\``
}
