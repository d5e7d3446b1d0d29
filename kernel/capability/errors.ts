import { AuthorityError, type ErrorCode } from '@authority/protocol'

/** A refusal of a token. Messages say where and why and never hold bytes of the token: a tag in a log is a right in a log. */
export function refuse(code: ErrorCode, message: string, hint?: string): AuthorityError {
  return new AuthorityError(code, message, hint === undefined ? {} : { hint })
}

/** The token is not what the format says. */
export function malformed(cause: string): AuthorityError {
  return refuse('E_CAP_INVALID', `capability token: ${cause}`, 'Use the token exactly as it was given: one line that begins with cap1_.')
}

/** What a caller asks to be put into a token cannot be. */
export function unusable(cause: string, hint?: string): AuthorityError {
  return refuse('E_CAP_INVALID', `capability: ${cause}`, hint)
}
