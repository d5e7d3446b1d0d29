import { createHash } from 'node:crypto'
import { LogBytesExceeded } from '../audit/index.ts'
import type { AuditStage, NoRoom, RecordBody } from '../audit/types.ts'
import {
  LOOK_RECORD_BYTES,
  MAX_DENIAL_BYTES,
  MAX_DISTINCT_DENIALS,
  MAX_DISTINCT_LOOKS,
  MAX_FIRST_DENIALS,
  MAX_LOOK_BYTES_PER_FLUSH,
  MAX_LOOK_RECORD_BYTES,
  MAX_REPEATS_PER_FLUSH,
} from './limits.ts'
import { clipFix, clipText, jsonBytes } from './text.ts'

type Deny = Extract<RecordBody, { type: 'DENY' }>

export interface FirstDenial {
  readonly seq: number
  readonly permission: string
  /** Of the error it was told as. */
  readonly code: string
  readonly object: string
  readonly fix: string | null
  /** Which rule, or `budget:ACCOUNT/DIMENSION`. */
  readonly rule: string | null
}

interface Repeats {
  readonly seq: number
  count: number
}

const FURTHER = '(further objects, counted)'
const ANY_OPERATION = '(any)'

/** Repeats of the same denial return the first one's sequence number and are counted, so that probing cannot flood the log. */
export class DenialLedger {
  /** By digest: what a peer asked for decides neither the number nor the size of the keys. */
  private readonly seen = new Map<string, Repeats>()
  /** Denials beyond the bound, by operation and code. */
  private readonly further = new Map<string, Repeats>()
  /** Denials the log has no room to tell apart. */
  private untold: Repeats | null = null
  private readonly unwritten = new Set<Repeats>()
  private recordBytes = 0
  private readonly audit: AuditStage
  /** The first distinct denials of effects, for the line that ends a run; those only the guest enforces are left out. */
  readonly first: FirstDenial[] = []
  total = 0

  constructor(audit: AuditStage) {
    this.audit = audit
  }

  /** Distinct denials remembered. */
  get size(): number {
    return this.seen.size + this.further.size
  }

  /** Sequence number of the record of this denial, or of the one it is counted under. Throws E_AUDIT. */
  record(denial: Deny): number {
    this.total += 1
    const known = this.seen.get(keyOf(denial))
    if (known !== undefined) return this.repeated(known)
    return orWithoutRoom(
      () => this.recordOne(denial),
      () =>
        orWithoutRoom(
          () => this.recordFurther(denial),
          () => this.recordUntold(denial),
        ),
    )
  }

  private recordOne(denial: Deny): number {
    if (this.seen.size >= MAX_DISTINCT_DENIALS || this.recordBytes >= MAX_DENIAL_BYTES) return this.recordFurther(denial)
    const fix = clipFix(denial.fix)
    const seq = this.append({ ...denial, object: clipText(denial.object), requested: clipText(denial.requested), fix })
    this.seen.set(keyOf(denial), { seq, count: 0 })
    if (this.first.length < MAX_FIRST_DENIALS && denial.guest_claimed !== true)
      this.first.push({
        seq,
        permission: denial.action ?? denial.code,
        code: denial.code,
        object: clipText(denial.requested),
        fix,
        rule: denial.rule === null ? null : clipText(denial.rule),
      })
    return seq
  }

  /** Writes how often denials were repeated since they were written last: some of them, or all at the end of a run. */
  flush(all: boolean): void {
    let room = all ? Number.POSITIVE_INFINITY : MAX_REPEATS_PER_FLUSH
    for (const entry of this.unwritten) {
      if (room-- <= 0 || (this.audit.tight && !all)) return
      this.audit.append({ type: 'DENY_REPEAT', first: entry.seq, count: entry.count })
      entry.count = 0
      this.unwritten.delete(entry)
    }
  }

  private recordFurther(denial: Deny): number {
    const key = `${denial.op}\n${denial.code}`
    const known = this.further.get(key)
    if (known !== undefined) return this.repeated(known)
    const seq = this.append({ ...denial, object: FURTHER, requested: FURTHER, reason: FURTHER, rule: null, fix: null })
    this.further.set(key, { seq, count: 0 })
    return seq
  }

  /** The last denial a full log tells: all others are counted with it. Its room is always there. */
  private recordUntold({ policy }: Deny): number {
    if (this.untold !== null) return this.repeated(this.untold)
    const texts = { op: ANY_OPERATION, session: '', action: null, object: FURTHER, requested: FURTHER }
    const why = { code: 'E_BUDGET_EXCEEDED', rule: 'budget:run/log_bytes', reason: 'no room in the log to tell denials apart', fix: null }
    this.untold = { seq: this.append({ type: 'DENY', ...texts, ...why, policy }, true), count: 0 }
    return this.untold.seq
  }

  private append(denial: Deny, last = false): number {
    const record = { ...denial, reason: clipText(denial.reason) }
    const seq = this.audit.append(record, last)
    this.recordBytes += Buffer.byteLength(JSON.stringify(record))
    return seq
  }

  private repeated(entry: Repeats): number {
    entry.count += 1
    this.unwritten.add(entry)
    return entry.seq
  }
}

function orWithoutRoom(act: () => number, otherwise: () => number): number {
  try {
    return act()
  } catch (error) {
    if (error instanceof LogBytesExceeded) return otherwise()
    throw error
  }
}

function keyOf({ op, code, rule, action, object }: Deny): string {
  return createHash('sha256')
    .update(JSON.stringify([op, code, rule, action, object]))
    .digest('base64')
}

interface LookCount {
  readonly op: string
  readonly rule: string | null
  readonly object: string
  count: number
}

/** An entry of a record beside its object and rule, in bytes. */
const ENTRY_BYTES = 128

/** Looks are decided every time, counted here and recorded together: the guest's kernel makes thousands of them. */
export class LookLedger {
  private readonly counts = new Map<string, LookCount>()
  private readonly audit: AuditStage
  private readonly guestClaimed: boolean
  /** Bytes of objects written since the last flush. */
  private written = 0
  /** Bytes of log kept for what was not written yet. */
  private held = 0
  total = 0

  constructor(audit: AuditStage, guestClaimed: boolean) {
    this.audit = audit
    this.guestClaimed = guestClaimed
  }

  /** Distinct looks not written yet. */
  get size(): number {
    return this.counts.size
  }

  /** Answers why the log has no room for it, in which case it is not counted, or null. Throws E_AUDIT. */
  count(op: string, rule: string | null, object: string): NoRoom | null {
    const named = this.written < MAX_LOOK_BYTES_PER_FLUSH ? clipText(object) : FURTHER
    const key = `${op}\n${rule ?? ''}\n${named}`
    const known = this.counts.get(key)
    if (known !== undefined) known.count += 1
    else {
      if (this.counts.size >= MAX_DISTINCT_LOOKS) this.writeAll()
      const bytes = entryBytes(named, rule) + LOOK_RECORD_BYTES
      const refused = this.audit.hold(bytes)
      if (refused !== null) return refused
      this.held += bytes
      this.counts.set(key, { op, rule, object: named, count: 1 })
    }
    this.total += 1
    return null
  }

  flush(): void {
    this.writeAll()
    this.written = 0
  }

  private writeAll(): void {
    const entries = [...this.counts.values()]
    // Before the first record: a log that takes no more must not make this grow.
    this.counts.clear()
    this.audit.release(this.held)
    this.held = 0
    let batch: LookCount[] = []
    let bytes = 0
    for (const entry of entries) {
      const size = entryBytes(entry.object, entry.rule)
      if (bytes + size > MAX_LOOK_RECORD_BYTES && batch.length > 0) {
        this.write(batch)
        batch = []
        bytes = 0
      }
      batch.push(entry)
      bytes += size
      this.written += size
    }
    if (batch.length > 0) this.write(batch)
  }

  private write(counts: readonly LookCount[]): void {
    this.audit.append({ type: 'LOOK', counts, ...(this.guestClaimed ? { guest_claimed: true } : {}) }, true)
  }
}

function entryBytes(object: string, rule: string | null): number {
  return jsonBytes(object) + jsonBytes(rule ?? '') + ENTRY_BYTES
}
