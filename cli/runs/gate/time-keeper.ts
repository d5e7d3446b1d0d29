import type { AuditStage } from '@authority/kernel/audit'
import { type BudgetStage, createTimeSlices, type TimeSlices } from '@authority/kernel/budget'
import type { Clock } from '@authority/kernel/vocabulary'

/** ms between two TIME records. */
const RECORD_MS = 10_000

/** Spends the run's wall and CPU time in slices; calls back once when either is used up. */
export class TimeKeeper {
  private readonly slices: TimeSlices
  private readonly audit: AuditStage
  private readonly onExhausted: (dimension: string) => void
  private readonly unwritten = { wall_time_ms: 0, cpu_ms: 0 }
  private readonly clock: Clock
  private lastRecord: number
  private timer: ReturnType<typeof setTimeout> | undefined
  private over = false
  /** CPU time of the machine in ms: the larger of what the host measured of QEMU and what the guest claims. */
  cpuMs = 0

  constructor(options: {
    readonly budget: BudgetStage
    readonly audit: AuditStage
    readonly clock: Clock
    readonly cpus: number
    readonly onExhausted: (dimension: string) => void
  }) {
    this.slices = createTimeSlices(options)
    this.audit = options.audit
    this.clock = options.clock
    this.onExhausted = options.onExhausted
    this.lastRecord = options.clock.monotonicMs()
    this.tick()
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
    if (exhausted !== null) return this.onExhausted(exhausted)
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
