import type { AuditStage, RecordBody } from '../audit/types.ts'
import { MAX_DISTINCT_DENIALS, MAX_DISTINCT_LOOKS, MAX_FIRST_DENIALS, MAX_LOOK_RECORD_BYTES } from './limits.ts'

type Deny = Extract<RecordBody, { type: 'DENY' }>

export interface FirstDenial {
  readonly seq: number
  readonly permission: string
  readonly object: string
  readonly fix: string | null
}

/** Repeats of the same denial return the first one's sequence number and are counted, so that probing cannot flood the log. */
export class DenialLedger {
  private readonly seen = new Map<string, { readonly seq: number; repeats: number }>()
  private readonly audit: AuditStage
  /** The first distinct denials of effects, for the line that ends a run; those only the guest enforces are left out. */
  readonly first: FirstDenial[] = []
  total = 0

  constructor(audit: AuditStage) {
    this.audit = audit
  }

  /** Sequence number of the record of this denial. Throws E_AUDIT. */
  record(denial: Deny): { readonly seq: number; readonly fresh: boolean } {
    this.total += 1
    const full = this.seen.size >= MAX_DISTINCT_DENIALS
    const key = full
      ? `${denial.op} and others`
      : `${denial.op}\n${denial.code}\n${denial.rule ?? ''}\n${denial.action ?? ''}\n${denial.object}`
    const known = this.seen.get(key)
    if (known !== undefined) {
      known.repeats += 1
      return { seq: known.seq, fresh: false }
    }
    const seq = this.audit.append(
      full ? { ...denial, object: '(further objects, counted)', requested: '(further objects, counted)', fix: null } : denial,
    )
    this.seen.set(key, { seq, repeats: 0 })
    if (this.first.length < MAX_FIRST_DENIALS && denial.guest_claimed !== true)
      this.first.push({ seq, permission: denial.action ?? denial.code, object: denial.requested, fix: denial.fix })
    return { seq, fresh: true }
  }

  /** Writes how often each denial was repeated since the last time. */
  flush(): void {
    for (const entry of this.seen.values()) {
      if (entry.repeats === 0) continue
      this.audit.append({ type: 'DENY_REPEAT', first: entry.seq, count: entry.repeats })
      entry.repeats = 0
    }
  }
}

interface LookCount {
  readonly op: string
  readonly rule: string | null
  readonly object: string
  count: number
}

/** Looks are decided every time, counted here and recorded together: the guest's kernel makes thousands of them. */
export class LookLedger {
  private readonly counts = new Map<string, LookCount>()
  private readonly audit: AuditStage
  private readonly guestClaimed: boolean
  total = 0

  constructor(audit: AuditStage, guestClaimed: boolean) {
    this.audit = audit
    this.guestClaimed = guestClaimed
  }

  count(op: string, rule: string | null, object: string): void {
    this.total += 1
    const key = `${op}\n${rule ?? ''}\n${object}`
    const known = this.counts.get(key)
    if (known !== undefined) known.count += 1
    else {
      if (this.counts.size >= MAX_DISTINCT_LOOKS) this.flush()
      this.counts.set(key, { op, rule, object, count: 1 })
    }
  }

  flush(): void {
    let batch: LookCount[] = []
    let bytes = 0
    for (const entry of this.counts.values()) {
      // 3 bytes for each UTF-16 unit bounds its UTF-8; the rest of an entry is below 200.
      const size = entry.object.length * 3 + (entry.rule?.length ?? 0) * 3 + 200
      if (bytes + size > MAX_LOOK_RECORD_BYTES && batch.length > 0) {
        this.write(batch)
        batch = []
        bytes = 0
      }
      batch.push(entry)
      bytes += size
    }
    if (batch.length > 0) this.write(batch)
    this.counts.clear()
  }

  private write(counts: readonly LookCount[]): void {
    this.audit.append({ type: 'LOOK', counts, ...(this.guestClaimed ? { guest_claimed: true } : {}) })
  }
}
