import { AuthorityError, type Denial, type ErrorCode, type ErrorReply, errorOf, type Goodbye, type StreamReset } from '@authority/protocol'

export { AuthorityError, type Denial, type ErrorCode }

/** The policy, or a person, does not allow it. `denial` says what was asked for and what would allow it. */
export class PolicyDenied extends AuthorityError {
  override readonly name = 'PolicyDenied'
}

/** The worst case of the effect does not fit what is left of a budget. */
export class BudgetExceeded extends AuthorityError {
  override readonly name = 'BudgetExceeded'
}

/** The token or handle acted under does not hold, or does not reach that far. */
export class CapabilityError extends AuthorityError {
  override readonly name = 'CapabilityError'
}

/** There is no conversation with the gate any more (or there never was one): connect again. */
export class ConnectionLost extends AuthorityError {
  override readonly name = 'ConnectionLost'
}

/** What a gate's error, reset or goodbye is to the caller: the class its code belongs to, and a message that says what to do about it. */
export function errorOfReply(reply: ErrorReply | StreamReset): AuthorityError {
  const { code, message, errno, denial } = errorOf(reply)
  const kind = classOf(code)
  return new kind(code, describe(code, message, denial), { errno, ...(denial === undefined ? {} : { denial }) })
}

/** What ended the session, for every call that was under way. */
export function lostByGoodbye(goodbye: Goodbye): AuthorityError {
  const { code, message } = errorOf(goodbye)
  const kind = code.startsWith('E_CAP_') ? CapabilityError : ConnectionLost
  return new kind(code, `the gate ended the session: ${message}`)
}

export function lost(message: string, cause?: unknown): ConnectionLost {
  return new ConnectionLost('E_IO', message, cause === undefined ? {} : { cause })
}

/** The gate broke the protocol: nothing it said can be trusted to mean what it says, so the connection is over. */
export function faulty(cause: AuthorityError): ConnectionLost {
  return new ConnectionLost(cause.code, `the gate broke the protocol and the connection was closed: ${cause.message}`, { cause })
}

/** An argument of the caller's that never left this process. */
export function invalid(message: string): AuthorityError {
  return new AuthorityError('E_CONFLICT', message)
}

function classOf(code: ErrorCode): typeof AuthorityError {
  if (code === 'E_POLICY_DENY' || code === 'E_APPROVAL_REQUIRED' || code === 'E_APPROVAL_DENIED') return PolicyDenied
  if (code === 'E_BUDGET_EXCEEDED') return BudgetExceeded
  return code.startsWith('E_CAP_') ? CapabilityError : AuthorityError
}

const DECISION = 'do not try another route'

/** What a program or a model reads: what was refused, who can change that and how, and that it is not a fault to be worked around. */
function describe(code: ErrorCode, message: string, denial: Denial | undefined): string {
  if (denial === undefined) return message
  const lines = [
    message,
    `  denied: ${denial.permission} ${denial.object} (audit record ${denial.seq})`,
    `  fix: ${fixOf(code, denial)}`,
    ...(message.includes(DECISION) ? [] : [`  This is a decision, not a fault: ${DECISION}.`]),
  ]
  return lines.join('\n')
}

function fixOf(code: ErrorCode, denial: Denial): string {
  if (denial.fix !== '') return `whoever sets the policy can allow exactly this with ${denial.fix}`
  if (code === 'E_BUDGET_EXCEEDED') return 'whoever started the run can raise the budget'
  return code.startsWith('E_CAP_') ? 'ask for a token that reaches this far' : 'none, a policy cannot allow this'
}
