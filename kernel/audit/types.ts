/** What the pipeline knows of the audit stage (DESIGN 4.6). Records are JSON objects; `seq`, `t` and `boot_ms` are added by the stage. */
import type { Charges, Json, SharedAmounts } from '../vocabulary/index.ts'

/** What init said of the program behind a session: guest-claimed. */
export interface Claimed {
  readonly pid: number
  readonly exe: string
}

/** Record types and their fields; FORMAT.md explains each. Values (arguments, bodies, queries) are never stored: only commitments. */
export type RecordBody =
  | {
      readonly type: 'RUN_START'
      readonly run: string
      readonly installation: string
      readonly build: string
      readonly operator_uid: number
      readonly policy: string
      readonly policy_source: string
      readonly isolation: string
      readonly limits: readonly { readonly account: string; readonly dimension: string; readonly limit: number }[]
      readonly detail: { readonly [key: string]: Json }
    }
  | {
      readonly type: 'INTENT'
      readonly op: string
      readonly session: string
      readonly action: string | null
      readonly object: string
      readonly requested: string
      readonly rule: string | null
      readonly policy: string
      readonly blocks: readonly string[]
      readonly accounts: readonly string[]
      readonly reserve: Charges
      readonly args?: string | undefined
      readonly claimed?: Claimed | undefined
    }
  | {
      readonly type: 'OUTCOME'
      readonly intent: number
      readonly status: 'ok' | 'error' | 'unknown' | 'void'
      readonly code?: string
      readonly captured: Charges
      readonly leased?: Charges | undefined
      readonly overrun?: boolean | undefined
      /** µs of each stage of the pipeline; `execute` includes the effect alone. */
      readonly us?: StageTimes | undefined
      readonly detail?: { readonly [key: string]: Json } | undefined
    }
  | { readonly type: 'LEASE'; readonly intent: number; readonly reserve: Charges }
  | { readonly type: 'CLOSE'; readonly intent: number; readonly captured: Charges; readonly detail: { readonly [key: string]: Json } }
  | {
      readonly type: 'DENY'
      readonly op: string
      readonly session: string
      readonly action: string | null
      readonly object: string
      readonly requested: string
      readonly code: string
      readonly rule: string | null
      readonly reason: string
      readonly fix: string | null
      readonly policy: string
      readonly guest_claimed?: boolean
      readonly claimed?: Claimed | undefined
    }
  | { readonly type: 'DENY_REPEAT'; readonly first: number; readonly count: number }
  | {
      readonly type: 'LOOK'
      readonly counts: readonly { readonly op: string; readonly rule: string | null; readonly object: string; readonly count: number }[]
      readonly guest_claimed?: boolean
    }
  | { readonly type: 'STDIO'; readonly fd: number; readonly bytes: number; readonly sha256: string }
  | { readonly type: 'TIME'; readonly captured: Charges }
  | { readonly type: 'REVOKE'; readonly block: string; readonly by: string }
  /** An effect that waits for a person; `by` is the approver, null where nobody decided. `request` is the digest of exactly that request. */
  | {
      readonly type: 'APPROVAL'
      readonly event: string
      readonly request: string
      readonly op: string
      readonly session: string
      readonly action: string
      readonly object: string
      readonly rule: string
      readonly policy: string
      readonly by: string | null
    }
  /** From here on this policy decides. `unpublished`: published ports it does not allow, closed with it; `published`: those closed before that it opens again. */
  | {
      readonly type: 'POLICY'
      readonly policy: string
      readonly source: string
      readonly previous: string
      readonly by: string
      readonly unpublished?: readonly string[]
      readonly published?: readonly string[]
    }
  /** An account got limits after the start (a capability block with a budget of its own, at its first use; the run, by another policy): the lowest holds from here on. */
  | { readonly type: 'LIMIT'; readonly account: string; readonly limits: Charges }
  /** How often a token block that counts its uses was used, over all runs of a kept gate; null at its first binding: not known until the end. */
  | { readonly type: 'USES'; readonly block: string; readonly used: number | null }
  /** What the run has leased of the installation's budget, in all, from here on: the limits of account `installation`. */
  | { readonly type: 'LEASED'; readonly leased: SharedAmounts }
  /** `percent` of a limit is spent. */
  | {
      readonly type: 'MARK'
      readonly account: string
      readonly dimension: string
      readonly percent: number
      readonly captured: number
      readonly limit: number
    }
  | { readonly type: 'GUEST'; readonly event: string; readonly detail: { readonly [key: string]: Json } }
  /** Added by the stage after each checkpoint it signed: a checkpoint that is taken away is missed. `root` in hex. */
  | { readonly type: 'CHECKPOINT'; readonly size: number; readonly root: string }
  | { readonly type: 'RECOVERED'; readonly bytes: number; readonly sha256: string }
  | { readonly type: 'FATAL'; readonly reason: string }
  | {
      readonly type: 'RUN_END'
      readonly ended_by: string
      readonly exit_code: number
      readonly effects: number
      readonly denials: number
      readonly spent: Charges
    }

/** Integers, µs on the monotonic clock. A stage that was not measured is absent. */
export interface StageTimes {
  readonly capability?: number
  /** With finding the object, and the wait for a person where one was asked. */
  readonly policy?: number
  readonly budget?: number
  /** Until the INTENT was durable. */
  readonly intent?: number
  readonly execute?: number
}

export type RecordType = RecordBody['type']

/** Why the log has no room for something. */
export interface NoRoom {
  readonly refusal: { readonly limit: number; readonly available: number; readonly asked: number }
}

/** A latched failure answers every later call with AuthorityError E_AUDIT; nothing is retried (a flush after a failed one may lie). */
export interface AuditStage {
  /**
   * Puts a record into the order of the log and returns its sequence number at once; it becomes durable with the next flush. An INTENT is admitted only with room
   * for its end. `last`: one of the few that may use what is kept for the end. Throws E_AUDIT when latched, LogBytesExceeded (E_BUDGET_EXCEEDED) when out of room.
   */
  append(body: RecordBody, last?: boolean): number
  /** Keeps room for records that are written later, together; answers why there is none, or null. */
  hold(bytes: number): NoRoom | null
  release(bytes: number): void
  /** So little room is left that what can wait is written at the end. */
  readonly tight: boolean
  /** Resolves when every record appended so far is durable: one write and one fdatasync for all that wait. Rejects with E_AUDIT. */
  durable(): Promise<void>
  /** Keyed commitment (hex) to a value that is not stored. */
  commit(value: Uint8Array | string): string
  /** Why nothing is allowed any more, or null. */
  readonly latched: string | null
  /** Bytes of log written so far. */
  readonly bytes: number
  /** Of these the bytes of frames: what `log_bytes` limits. */
  readonly frameBytes: number
  /** Appends RUN_END, signs the last checkpoint, trims, notes the final root in the installation log. */
  seal(end: Extract<RecordBody, { type: 'RUN_END' }>): Promise<{ readonly seq: number; readonly root: string }>
}
