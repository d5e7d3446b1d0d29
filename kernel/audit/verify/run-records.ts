/** The order of the records of one run: what must come first, what must follow what, what must come last. */
import { Effects } from './effects.ts'
import { MAX_WARNINGS } from './limits.ts'
import type { LogRecord, Walk } from './log-reader.ts'
import { type Fields, parseRecord, RUN_SHAPES } from './shapes.ts'
import { Tampered } from './verdict.ts'

export class RunRecords {
  readonly effects = new Effects()
  readonly warnings: string[] = []
  run: string | null = null
  installation: string | null = null
  start: Fields | null = null
  endedBy: string | null = null
  recovered = false
  denials = 0
  /** What the run says it has leased of the installation's budget. */
  leased: { readonly [dimension: string]: number } = {}
  #last = { t: '', bootMs: 0 }

  /** Throws Tampered. */
  add(record: LogRecord, walk: Walk): void {
    const fail = (why: string): Tampered => new Tampered(why, record.file, record.offset, record.seq)
    const parsed = parseRecord(record.text, record.seq, RUN_SHAPES)
    if (typeof parsed === 'string') throw fail(parsed)
    const { type, fields } = parsed
    if ((record.seq === 0) !== (type === 'RUN_START'))
      throw fail(record.seq === 0 ? 'the log does not begin with RUN_START' : 'a second RUN_START')
    if (this.endedBy !== null) throw fail(`a ${type} record after RUN_END`)
    const wrong = this.#clock(parsed.t, parsed.bootMs, type) ?? this.#rule(type, record.seq, fields, walk)
    if (wrong !== null) throw fail(wrong)
  }

  #clock(t: string, bootMs: number, type: string): string | null {
    const before = this.#last
    this.#last = { t, bootMs }
    if (t < before.t && this.warnings.length < MAX_WARNINGS) this.warnings.push(`the wall clock went back from ${before.t} to ${t}`)
    // Recovery may happen after a restart of the machine, or in another process.
    return bootMs < before.bootMs && type !== 'RECOVERED' && !this.recovered ? 'the monotonic clock goes back' : null
  }

  #rule(type: string, seq: number, fields: Fields, walk: Walk): string | null {
    switch (type) {
      case 'RUN_START':
        this.start = fields
        this.run = fields.run as string
        this.installation = fields.installation as string
        this.effects.start(fields)
        return null
      case 'INTENT':
        return this.effects.intent(seq, fields)
      case 'LEASE':
        return this.effects.lease(fields)
      case 'OUTCOME':
        return this.effects.outcome(fields)
      case 'CLOSE':
        return this.effects.close(fields)
      case 'TIME':
        return this.effects.time(fields)
      case 'LEASED':
        this.leased = fields.leased as { readonly [dimension: string]: number }
        return this.effects.leased(fields)
      case 'LIMIT':
        return this.effects.limit(fields)
      case 'DENY':
        this.denials++
        return null
      case 'DENY_REPEAT':
        this.denials += fields.count as number
        return (fields.first as number) < seq ? null : 'a repeated denial names a later one'
      case 'CHECKPOINT':
        return this.#checkpoint(fields, walk)
      case 'RECOVERED':
        this.recovered = true
        return null
      case 'RUN_END':
        this.endedBy = fields.ended_by as string
        return this.effects.open === 0 ? null : `the run ended with ${this.effects.open} effects open`
      default:
        return null
    }
  }

  /** The record a gate adds right after it signed: the signed note must be there. */
  #checkpoint(fields: Fields, walk: Walk): string | null {
    const { lastHead } = walk
    return lastHead && lastHead.size === fields.size && lastHead.root.toString('hex') === fields.root
      ? null
      : `the checkpoint of ${String(fields.size)} records is missing`
  }
}
