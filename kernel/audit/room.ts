/** Log bytes are a budget (DESIGN 4.5): what a record obliges the log to say later has its room before the record is in, so that an end can always be told. */
import { LogBytesExceeded } from './errors.ts'
import type { Ledger } from './ledger.ts'
import {
  APPROVAL_END_BYTES,
  CLOSE_BYTES,
  DENIAL_RESERVE_BYTES,
  ENDING_RESERVE_BYTES,
  OPERATOR_RESERVE_BYTES,
  OUTCOME_BYTES,
  REPEAT_BYTES,
  RESERVE_SHARE,
  TIGHT_BYTES,
  USES_BYTES,
} from './limits.ts'
import type { RecordBody } from './types.ts'

export class LogRoom {
  readonly #maxBytes: number
  /** Bytes of all frames so far. */
  readonly #used: () => number
  readonly #ledger: Ledger
  /** For denials that cannot be told one by one any more, and for what the operator does. */
  readonly #denials: number
  readonly #operator: number
  /** Denials whose repeats may still have to be counted. */
  #repeats = 0
  /** Token blocks whose uses are told at the end. */
  #counting = 0
  /** By request: what deciding or ending it will take. */
  readonly #approvals = new Map<string, number>()
  #approvalBytes = 0
  #held = 0

  constructor(maxBytes: number, used: () => number, ledger: Ledger) {
    this.#maxBytes = maxBytes
    this.#used = used
    this.#ledger = ledger
    this.#denials = Math.min(DENIAL_RESERVE_BYTES, Math.floor(maxBytes / RESERVE_SHARE))
    this.#operator = Math.min(OPERATOR_RESERVE_BYTES, Math.floor(maxBytes / RESERVE_SHARE))
  }

  /** Room for one thing more is not certain: what can wait is not written. */
  get tight(): boolean {
    return this.#available < TIGHT_BYTES
  }

  /** Keeps room for records that are written later, together. What refuses it, or null. */
  hold(bytes: number): LogBytesExceeded | null {
    if (bytes > this.#available) return this.refusal(bytes)
    this.#held += bytes
    return null
  }

  release(bytes: number): void {
    this.#held = Math.max(0, this.#held - bytes)
  }

  /** Bytes that must be free behind a record that begins something. */
  behindNew(body: RecordBody): number {
    return this.#owed + this.#reserves + owedBy(body)
  }

  /** The same for a record room was kept for; null when none was. `last`: of the few that may use what is kept for the end. */
  behindKept(body: RecordBody, last: boolean): number | null {
    switch (body.type) {
      case 'OUTCOME':
        return this.#owed - OUTCOME_BYTES + ENDING_RESERVE_BYTES
      case 'CLOSE':
        return this.#owed - CLOSE_BYTES + ENDING_RESERVE_BYTES
      case 'DENY':
        return this.#owed + REPEAT_BYTES + (last ? 0 : ENDING_RESERVE_BYTES + this.#operator)
      case 'DENY_REPEAT':
        return this.#owed - REPEAT_BYTES + ENDING_RESERVE_BYTES
      case 'LOOK':
        return last ? this.#owed + ENDING_RESERVE_BYTES : null
      case 'APPROVAL':
        return body.event === 'asked' ? null : this.#owed - (this.#approvals.get(body.request) ?? 0) + ENDING_RESERVE_BYTES
      case 'USES':
        return body.used === null ? null : this.#owed - USES_BYTES + ENDING_RESERVE_BYTES
      case 'REVOKE':
      case 'POLICY':
      case 'LEASED':
      case 'GUEST':
      case 'CHECKPOINT':
        return this.#owed + ENDING_RESERVE_BYTES
      case 'STDIO':
      case 'TIME':
      case 'FATAL':
      case 'RECOVERED':
      case 'RUN_END':
        return this.#owed
      default:
        return null
    }
  }

  /** After the record is in. `kept`: it took room that was kept for it. Effects are the ledger's to count. */
  note(body: RecordBody, kept: boolean): void {
    switch (body.type) {
      case 'DENY':
        this.#repeats += 1
        return
      case 'DENY_REPEAT':
        if (kept) this.#repeats = Math.max(0, this.#repeats - 1)
        return
      case 'APPROVAL':
        this.#noteApproval(body)
        return
      case 'USES':
        this.#counting = Math.max(0, this.#counting + (body.used === null ? 1 : -1))
    }
  }

  refusal(bytes: number, body?: RecordBody): LogBytesExceeded {
    const asked = bytes + (body === undefined ? 0 : owedBy(body))
    return new LogBytesExceeded({ limit: this.#maxBytes, available: Math.max(0, this.#available), asked })
  }

  #noteApproval(body: Extract<RecordBody, { type: 'APPROVAL' }>): void {
    this.#approvalBytes -= this.#approvals.get(body.request) ?? 0
    this.#approvals.delete(body.request)
    if (body.event !== 'asked') return
    this.#approvals.set(body.request, owedBy(body))
    this.#approvalBytes += owedBy(body)
  }

  get #available(): number {
    return this.#maxBytes - this.#used() - this.#owed - this.#reserves
  }

  get #reserves(): number {
    return ENDING_RESERVE_BYTES + this.#operator + this.#denials
  }

  get #owed(): number {
    const { outcomesOwed, closesOwed } = this.#ledger
    return (
      outcomesOwed * OUTCOME_BYTES +
      closesOwed * CLOSE_BYTES +
      this.#repeats * REPEAT_BYTES +
      this.#counting * USES_BYTES +
      this.#approvalBytes +
      this.#held
    )
  }
}

/** Bytes of the records this one obliges the log to take later. */
function owedBy(body: RecordBody): number {
  switch (body.type) {
    case 'INTENT':
      return OUTCOME_BYTES + CLOSE_BYTES
    case 'DENY':
      return REPEAT_BYTES
    case 'APPROVAL':
      return body.event === 'asked' ? Buffer.byteLength(JSON.stringify(body)) + APPROVAL_END_BYTES : 0
    case 'USES':
      return body.used === null ? USES_BYTES : 0
    default:
      return 0
  }
}
