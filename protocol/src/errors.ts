/**
 * The closed set of error codes, once: number on the wire, name everywhere else, the errno a plain system call sees, and what the code means.
 * A code is never renumbered or reused; new ones are only added.
 */
export interface ErrorCodeRow {
  readonly code: number
  /** Linux errno name for plain system calls. */
  readonly errno: string
  readonly meaning: string
  /** Generation the code was added in; left out: 1. */
  readonly since?: number
}

export const ERROR_CODES = {
  E_PROTOCOL: { code: 1, errno: 'EPROTO', meaning: 'the peer broke the protocol' },
  E_FRAME_TOO_LARGE: { code: 2, errno: 'EMSGSIZE', meaning: 'a frame or field exceeds its limit' },
  E_UNSUPPORTED: { code: 3, errno: 'EOPNOTSUPP', meaning: 'the operation is known but not available here' },
  E_CAP_MISSING: { code: 10, errno: 'EACCES', meaning: 'no capability covers the request' },
  E_CAP_INVALID: { code: 11, errno: 'EACCES', meaning: 'the token or handle is not genuine' },
  E_CAP_EXPIRED: { code: 12, errno: 'EACCES', meaning: 'the token is outside its time' },
  E_CAP_SCOPE: { code: 13, errno: 'EACCES', meaning: 'a block of the token does not allow this' },
  E_CAP_REVOKED: { code: 14, errno: 'EACCES', meaning: 'the token or an ancestor was revoked' },
  E_CAP_RATE: { code: 15, errno: 'EAGAIN', meaning: 'the token is used too often' },
  E_CAP_RUN: { code: 16, errno: 'EACCES', meaning: 'the token belongs to another run, installation or channel' },
  E_POLICY_DENY: { code: 20, errno: 'EACCES', meaning: 'no policy rule allows this, or one denies it' },
  E_APPROVAL_REQUIRED: { code: 21, errno: 'EACCES', meaning: 'a person must approve this first' },
  E_APPROVAL_DENIED: { code: 22, errno: 'EACCES', meaning: 'a person refused this' },
  E_BUDGET_EXCEEDED: { code: 30, errno: 'EDQUOT', meaning: 'the worst case does not fit what is left of a budget' },
  E_RATE_LIMIT: { code: 31, errno: 'EAGAIN', meaning: 'too many requests for now' },
  E_AUDIT: { code: 40, errno: 'EIO', meaning: 'the audit log cannot be written, so nothing is allowed' },
  E_NOT_FOUND: { code: 50, errno: 'ENOENT', meaning: 'no such object' },
  E_EXISTS: { code: 51, errno: 'EEXIST', meaning: 'the object exists already' },
  E_CONFLICT: { code: 52, errno: 'EINVAL', meaning: 'the object is of another kind or state than the request needs' },
  E_IO: { code: 53, errno: 'EIO', meaning: 'the host refused the system call' },
  E_TIMEOUT: { code: 54, errno: 'ETIMEDOUT', meaning: 'the deadline passed' },
  E_CANCELLED: { code: 55, errno: 'ECANCELED', meaning: 'the caller or the end of the run cancelled it' },
  E_UPSTREAM: { code: 56, errno: 'ECONNREFUSED', meaning: 'the remote end failed' },
  E_INTERNAL: {
    code: 57,
    errno: 'EIO',
    meaning: 'a fault in the gate; nothing was allowed by it, and what had begun is told by its record',
  },
} as const satisfies Record<string, ErrorCodeRow>

export type ErrorCode = keyof typeof ERROR_CODES

const BY_NUMBER: ReadonlyMap<number, ErrorCode> = new Map(
  (Object.entries(ERROR_CODES) as [ErrorCode, ErrorCodeRow][]).map(([name, row]) => [row.code, name]),
)

/** The name of a wire number, or undefined when this build does not know it. */
export function errorCodeOf(number: number): ErrorCode | undefined {
  return BY_NUMBER.get(number)
}

/** What a denial tells the agent: its own object and the fix, never canonical paths or other rules. */
export interface Denial {
  /** The missing permission, e.g. `fs.write`. */
  readonly permission: string
  /** The object as the agent named it. */
  readonly object: string
  /** A policy document (JSON text) the loader accepts and that would allow this; empty when nothing may allow it. */
  readonly fix: string
  /** Sequence number of the audit record of the denial. */
  readonly seq: number
}

/** A failure that travels to the peer: a closed code, a sentence, an errno that says more than the code's own, and the denial where there is one. */
export class AuthorityError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly denial: Denial | undefined
  /** Linux errno name when the host gave a more exact one than the code's, e.g. `ENOTEMPTY`. */
  readonly errno: string

  constructor(code: ErrorCode, message: string, options: { hint?: string; denial?: Denial; errno?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'AuthorityError'
    this.code = code
    this.hint = options.hint
    this.denial = options.denial
    this.errno = options.errno ?? ERROR_CODES[code].errno
  }
}
