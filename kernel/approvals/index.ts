/** Effects that wait for a person. */
export { type ApprovalOptions, createApprovals } from './stage.ts'
export type {
  ApprovalDecision,
  ApprovalDesk,
  ApprovalOutcome,
  ApprovalRequest,
  ApprovalStage,
  ApprovalSubject,
  PendingApproval,
} from './types.ts'
