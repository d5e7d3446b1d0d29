/** How the log fails: always E_AUDIT, always with the place and the next step. */
import { AuthorityError } from '@authority/protocol'

const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: 'Free space on the file system of the audit log, then start the run again.',
  EDQUOT: 'Free space within the quota of this user, then start the run again.',
  EIO: 'The disk reports errors: check it before trusting anything on it, then start the run again.',
  EROFS: 'The file system is read-only: set AUTHORITY_HOME to a writable place.',
  EACCES: 'Give this user access to the folder, or set AUTHORITY_HOME to one it owns.',
  EMFILE: 'Raise the limit of open files (ulimit -n).',
}

/** What a log of limited bytes has no room for: a budget like any other, nothing is broken. */
export interface LogRefusal {
  readonly limit: number
  /** Bytes that are neither written nor kept for what must still be said. */
  readonly available: number
  readonly asked: number
}

export class LogBytesExceeded extends AuthorityError {
  readonly refusal: LogRefusal

  constructor(refusal: LogRefusal) {
    const { limit, available, asked } = refusal
    super(
      'E_BUDGET_EXCEEDED',
      `the log bytes budget of this run has no room for this: ${asked} bytes needed, ${available} of ${limit} left`,
      {
        hint: 'Give the run a larger log_bytes budget.',
      },
    )
    this.refusal = refusal
  }
}

export function auditError(message: string, hint?: string, cause?: unknown): AuthorityError {
  return new AuthorityError('E_AUDIT', message, { ...(hint === undefined ? {} : { hint }), ...(cause === undefined ? {} : { cause }) })
}

/** errno name of a system error, or null. */
export function errnoOf(error: unknown): string | null {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : null
}

/** Turns whatever a file system call threw into an E_AUDIT that names the call and the file. */
export function ioError(what: string, path: string, error: unknown): AuthorityError {
  if (error instanceof AuthorityError) return error
  const errno = errnoOf(error)
  const reason = errno ?? (error instanceof Error ? error.message : String(error))
  return auditError(`The audit log could not ${what} ${path}: ${reason}.`, errno === null ? undefined : HINTS[errno], error)
}
