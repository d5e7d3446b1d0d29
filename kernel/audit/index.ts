/** What others may import of the audit stage. */
import { hostContext } from './host.ts'
import { type Installation, type InstallationContext, openInstallation } from './installation.ts'

/** The installation of a home folder, made when there is none. The machine's own file system, clocks and randomness, unless told otherwise. Throws E_AUDIT. */
export function ensureInstallation(home: string, context: Partial<InstallationContext> = {}): Promise<Installation> {
  return openInstallation(home, { ...hostContext(), ...context })
}

export { LogBytesExceeded, type LogRefusal } from './errors.ts'
export type { Installation, InstallationContext } from './installation.ts'
export type { Adjustment, InstallationRecord, NotedHead } from './installation-records.ts'
export { tryLock } from './lock.ts'
export { type OpenRunLogOptions, openRunLog, type RunLogTuning } from './open.ts'
export { type ConsistencyProof, type InclusionProof, makeTiles, proveRecord, proveSince, type SignedHead, signedHead } from './prove.ts'
export { type RecoverOptions, type Recovery, recoverRun } from './recovery.ts'
export {
  escapeForDisplay,
  followRecords,
  frameBytesOf,
  passesFilter,
  RECORD_TYPES,
  type RecordFilter,
  readPayloads,
  readRecords,
  type ShownRecord,
} from './show.ts'
export type { RunLog } from './stage.ts'
export type { AuditStage, RecordBody, RecordType } from './types.ts'
export {
  EXIT_CODES,
  type Finding,
  type Status,
  TRUST_LEVELS,
  type Trust,
  type Verdict,
  type VerifyOptions,
  verifyRun,
} from './verify/index.ts'
