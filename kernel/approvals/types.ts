/** What the pipeline knows of approvals (DESIGN 4.4, 4.7): effects that wait for a person. */
import type { Action, OperationName, Question } from '../vocabulary/index.ts'

/** What exactly is to be approved. Two requests that differ in any of it have different digests. */
export interface ApprovalSubject {
  readonly operation: OperationName
  readonly question: Question
  /** The request's arguments as they came, where it has some. */
  readonly argsBytes?: Uint8Array
  /** Id of the policy that asks: a reload asks again. */
  readonly policy: string
}

export interface ApprovalRequest extends ApprovalSubject {
  readonly session: string
  readonly rule: string
  /** ms until it is denied. */
  readonly timeoutMs: number
}

export interface PendingApproval {
  /** First 12 hex digits of the digest; enough to name it. */
  readonly id: string
  readonly digest: string
  readonly operation: OperationName
  readonly permission: Action
  readonly object: string
  readonly session: string
  readonly rule: string
  /** RFC 3339. */
  readonly asked: string
  /** ms left. */
  readonly leftMs: number
}

/** `once`: this one request. `run`: every request with the same digest until the run ends. */
export type ApprovalDecision = 'once' | 'run' | 'deny'
export type ApprovalOutcome = 'approved' | 'denied' | 'expired'

export interface ApprovalStage {
  /** SHA-256 (hex) over all of the subject. */
  digestOf(subject: ApprovalSubject): string
  /** Takes an approval given before: one for the run stays, a single one is used up. */
  take(digest: string): boolean
  /** Asks, and resolves when somebody decided (durable by then), the time is up, or rejects when the signal aborts. Throws E_RATE_LIMIT when too many wait. */
  wait(request: ApprovalRequest, signal: AbortSignal): Promise<ApprovalOutcome>
  /** Asks without waiting: whoever asks again after an approval finds it. Answers the id. Throws E_RATE_LIMIT. */
  post(request: ApprovalRequest): string
}

/** The operator's side. */
export interface ApprovalDesk extends ApprovalStage {
  list(): readonly PendingApproval[]
  /** `id`: any unique prefix of a digest that waits. Durable before it takes effect. Throws E_NOT_FOUND. */
  decide(id: string, decision: ApprovalDecision, by: string): Promise<PendingApproval>
  /** Everything that waits is denied. */
  end(): void
}
