/** What the pipeline knows of the capability stage (DESIGN 4.3; bytes and order of checks: research security.md 6.1). */
import type { ErrorCode, Question } from '../vocabulary/index.ts'

/** What block 0 grants or a later block still allows: pattern lists per section, in the policy's own pattern grammar. */
export interface Grants {
  readonly fs?: { readonly look?: readonly string[]; readonly read?: readonly string[]; readonly write?: readonly string[] }
  readonly net?: { readonly dns?: readonly string[]; readonly connect?: readonly string[]; readonly listen?: readonly string[] }
  readonly tools?: readonly string[]
  readonly infer?: readonly string[]
}

export type CapabilityVerdict =
  | {
      readonly allow: true
      /** Block ids (32 hex digits), root first: each use is charged to all of them. */
      readonly blocks: readonly string[]
    }
  | {
      readonly allow: false
      readonly code: ErrorCode
      readonly reason: string
      /** Id of the block that refuses, when one does. */
      readonly block: string | null
    }

/** A session is named by its number-like key (Subject.session); a handle is valid on the session it was bound on, nowhere else. */
export interface CapabilityStage {
  /** The run's own capability, minted when the run starts: sessions without a token act under it. Its handle is 0 on every session. */
  readonly runToken: string
  /** Verifies a token (size → base64url → key id → MAC chain → run → time → revocation → payload) and binds it. Throws AuthorityError E_CAP_*. */
  bind(session: string, token: string): number
  release(session: string, handle: number): void
  /** Ends all handles of a session. */
  endSession(session: string): void
  /**
   * Every block must allow every question, at this moment: expiry and revocation are looked at again. An allowed call counts one use against `uses` and
   * rates of every block of the token. `again` is for further questions of an effect that was counted already (its resolved object, a redirect hop): nothing
   * is counted; nor is it when nothing is asked.
   * Codes: E_CAP_MISSING when handle 0 or the run's own token as it was minted (whose grants are the policy's) does not cover the question: the policy's denial then carries
   * the fix; E_CAP_SCOPE when a block of a bound token refuses; E_CAP_INVALID for a handle this session does not hold; E_CAP_EXPIRED, E_CAP_REVOKED, E_CAP_RATE.
   */
  check(session: string, handle: number, questions: readonly Question[], again?: true): CapabilityVerdict
  /** The first of these block ids that was revoked, or null: what was opened under a token ends with it, whatever became of its handle. */
  revokedAmong(blocks: readonly string[]): string | null
  /** Kills a block, all its descendants and their handles. The caller makes it durable first. Throws E_NOT_FOUND for a malformed id. */
  revoke(blockId: string): void
  /** Erases the run key: every token of the run is dead. */
  end(): void
}
