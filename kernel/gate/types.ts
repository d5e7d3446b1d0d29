/** The single entrance: every effect of every transport goes through `admit`. */
import type { ApprovalStage } from '../approvals/types.ts'
import type { AuditStage } from '../audit/types.ts'
import type { BudgetStage } from '../budget/types.ts'
import type { CapabilityStage } from '../capability/types.ts'
import type { EffectResult, PreparedEffect } from '../effects/contract.ts'
import type { Policy } from '../policy/types.ts'
import type { OperationName, Subject } from '../vocabulary/index.ts'
import type { Abortable } from './request-abort.ts'

export interface AdmitRequest {
  readonly operation: OperationName
  readonly subject: Subject
  /** Capability handle of the session; 0 is the run's own. */
  readonly handle: number
  readonly effect: PreparedEffect
  readonly signal: Abortable
  /** Bytes whose keyed commitment stands in the INTENT. */
  readonly argsBytes?: Uint8Array
  /** What to do where a person must approve first; left out: wait. */
  readonly approval?: ApprovalMode
}

/** As the session chose: wait for a person, or be answered E_APPROVAL_REQUIRED at once. */
export type ApprovalMode = 'wait' | 'refuse'

/** A look has no deadline of its own and no commitment. */
export type LookRequest = Omit<AdmitRequest, 'signal' | 'argsBytes'>

/** The four stages, made once per run. */
export interface Stages {
  readonly capability: CapabilityStage
  readonly policy: Policy
  readonly budget: BudgetStage
  readonly audit: AuditStage
  /** Where people approve; left out: whatever would be asked is denied. */
  readonly approvals?: ApprovalStage
}

export interface Gate {
  /** decode → capability → policy → budget → INTENT (durable) → execute → OUTCOME (durable). For operations of class `change`. Throws AuthorityError, with the denial where it is one. */
  admit(request: AdmitRequest): Promise<EffectResult>
  /** The same decisions for class `look`, synchronously where resolve and execute are: counted, recorded coalesced, not waited for. */
  look(request: LookRequest): EffectResult | Promise<EffectResult>
}

/** Counts since the start of the run. */
export interface GateStatistics {
  readonly effects: number
  readonly denials: number
  readonly looks: number
  readonly openLeases: number
}
