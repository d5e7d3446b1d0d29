import { AuthorityError } from '@authority/protocol'
import type { ApprovalRequest } from '../approvals/types.ts'
import { LogBytesExceeded } from '../audit/index.ts'
import type { Question } from '../vocabulary/index.ts'
import { budgetDenial, logRefusal } from './budget-refusal.ts'
import type { Refusal } from './judge.ts'
import { signalOf } from './request-abort.ts'
import type { AdmitRequest, LookRequest, Stages } from './types.ts'

/** Between the judge and the desk where people decide: which request was approved, bound to exactly what it asks. Without a desk nothing can be approved. */
export class Approvals {
  private readonly stages: Stages
  /** What was approved for one request: it holds for every time that very request is judged, and for no other. */
  private readonly given = new WeakMap<LookRequest, Set<string>>()

  constructor(stages: Stages) {
    this.stages = stages
  }

  /** Whether a person approved this question of this request. A single approval given before is used up by the first request that finds it. */
  holds(request: LookRequest, question: Question): boolean {
    const { approvals } = this.stages
    if (approvals === undefined) return false
    const digest = approvals.digestOf(this.subject(request, question))
    if (this.given.get(request)?.has(digest) === true) return true
    if (!approvals.take(digest)) return false
    this.keep(request, digest)
    return true
  }

  /** Waits for a person, or asks and answers at once, as the session chose. Null: approved. Rejects when the request is cancelled. */
  async obtain(request: LookRequest | AdmitRequest, refusal: Refusal): Promise<Refusal | null> {
    const { approvals } = this.stages
    if (approvals === undefined || refusal.question === null || request.approval === 'refuse' || !('signal' in request))
      return this.post(request, refusal)
    const asked = this.request(request, refusal, refusal.question)
    try {
      const outcome = await approvals.wait(asked, signalOf(request.signal))
      if (outcome === 'approved') {
        this.keep(request, approvals.digestOf(asked))
        return null
      }
      const reason = outcome === 'expired' ? `nobody approved it within ${asked.timeoutMs} ms` : 'a person refused it'
      return { ...refusal, code: 'E_APPROVAL_DENIED', reason }
    } catch (error) {
      return notAsked(error, refusal)
    }
  }

  /** Asks without waiting. */
  post(request: LookRequest, refusal: Refusal): Refusal {
    const { approvals } = this.stages
    if (approvals === undefined || refusal.question === null) return { ...refusal, reason: `${refusal.reason}; nobody can be asked here` }
    try {
      const id = approvals.post(this.request(request, refusal, refusal.question))
      return { ...refusal, reason: `${refusal.reason}; asked as ${id}` }
    } catch (error) {
      return notAsked(error, refusal)
    }
  }

  private keep(request: LookRequest, digest: string): void {
    this.given.set(request, (this.given.get(request) ?? new Set()).add(digest))
  }

  private request(request: LookRequest, refusal: Refusal, question: Question): ApprovalRequest {
    return {
      ...this.subject(request, question),
      session: request.subject.session,
      rule: refusal.rule ?? '',
      timeoutMs: this.stages.policy.askTimeoutMs,
    }
  }

  private subject(request: LookRequest, question: Question): Pick<ApprovalRequest, 'operation' | 'question' | 'argsBytes' | 'policy'> {
    const argsBytes = 'argsBytes' in request ? (request as AdmitRequest).argsBytes : undefined
    return { operation: request.operation, question, policy: this.stages.policy.id, ...(argsBytes === undefined ? {} : { argsBytes }) }
  }
}

/** Too many wait, or the log has no room for the question: the refusal says so. */
function notAsked(error: unknown, refusal: Refusal): Refusal {
  if (error instanceof LogBytesExceeded) return { ...budgetDenial(logRefusal(error)), question: refusal.question }
  if (error instanceof AuthorityError && error.code === 'E_RATE_LIMIT') return { ...refusal, reason: error.message }
  throw error
}
