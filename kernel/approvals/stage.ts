import { AuthorityError } from '@authority/protocol'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import type { AuditStage } from '../audit/types.ts'
import type { Clock } from '../vocabulary/index.ts'
import { MAX_APPROVER, MAX_GRANTED, MAX_PENDING } from './limits.ts'
import type { ApprovalDecision, ApprovalDesk, ApprovalOutcome, ApprovalRequest, ApprovalSubject, PendingApproval } from './types.ts'

export interface ApprovalOptions {
  /** Whose requests these are: the same one of another run is another. */
  readonly run: string
  readonly audit: Pick<AuditStage, 'append' | 'durable'>
  readonly clock: Clock
  /** Calls back once after so many ms; the answer cancels. */
  readonly after: (ms: number, call: () => void) => () => void
  /** Told of every new request, for whoever shows it to a person. */
  readonly onAsked: (pending: PendingApproval) => void
  /** Told of every request that waits no more, however it ended. */
  readonly onSettled?: (digest: string) => void
}

export function createApprovals(options: ApprovalOptions): ApprovalDesk {
  return new Desk(options)
}

interface Waiting {
  readonly request: ApprovalRequest
  readonly digest: string
  readonly askedMs: number
  readonly deadline: number
  readonly cancelTimer: () => void
  readonly waiters: Set<(outcome: ApprovalOutcome) => void>
  /** Somebody's decision is being written. */
  deciding: boolean
}

const ID_DIGITS = 12

class Desk implements ApprovalDesk {
  readonly #options: ApprovalOptions
  readonly #waiting = new Map<string, Waiting>()
  /** Digest → uses left; Infinity for the whole run. */
  readonly #granted = new Map<string, number>()

  constructor(options: ApprovalOptions) {
    this.#options = options
  }

  digestOf({ operation, question, argsBytes, policy }: ApprovalSubject): string {
    const { action, object, makes = '', args } = question
    const fields = [this.#options.run, operation, action, object, makes, args === undefined ? '' : JSON.stringify(args), policy].map(
      utf8ToBytes,
    )
    const all = [...fields, argsBytes ?? new Uint8Array(), new Uint8Array([argsBytes === undefined ? 0 : 1, args === undefined ? 0 : 1])]
    return bytesToHex(sha256(concatBytes(utf8ToBytes('authority-approval-2\n'), ...all.flatMap((bytes) => [u32(bytes.length), bytes]))))
  }

  take(digest: string): boolean {
    const left = this.#granted.get(digest) ?? 0
    if (left === 0) return false
    if (left === 1) this.#granted.delete(digest)
    else this.#granted.set(digest, left - 1)
    return true
  }

  wait(request: ApprovalRequest, signal: AbortSignal): Promise<ApprovalOutcome> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const waiting = this.#ask(request)
      const settle = (outcome: ApprovalOutcome): void => {
        signal.removeEventListener('abort', onAbort)
        resolve(outcome)
      }
      const onAbort = (): void => {
        waiting.waiters.delete(settle)
        if (waiting.waiters.size === 0 && !waiting.deciding) this.#close(waiting)
        reject(signal.reason)
      }
      waiting.waiters.add(settle)
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  post(request: ApprovalRequest): string {
    return this.#ask(request).digest.slice(0, ID_DIGITS)
  }

  list(): readonly PendingApproval[] {
    return [...this.#waiting.values()].map((waiting) => this.#describe(waiting))
  }

  async decide(id: string, decision: ApprovalDecision, by: string): Promise<PendingApproval> {
    const found = /^[0-9a-f]{4,64}$/.test(id) ? [...this.#waiting.values()].filter(({ digest }) => digest.startsWith(id)) : []
    const [waiting, another] = found
    if (waiting === undefined || waiting.deciding)
      throw new AuthorityError('E_NOT_FOUND', `no request \`${id.slice(0, 64)}\` waits for approval`, {
        hint: '`authority approvals ls RUN` lists them',
      })
    if (another !== undefined)
      throw new AuthorityError('E_NOT_FOUND', `\`${id}\` is the beginning of several requests`, { hint: 'type more of it' })
    const described = this.#describe(waiting)
    waiting.deciding = true
    waiting.cancelTimer()
    // Durable before anybody acts on it: an approval that is in no record never happened.
    this.#record(waiting, decision === 'deny' ? 'denied' : decision, by.slice(0, MAX_APPROVER))
    await this.#options.audit.durable()
    this.#forget(waiting)
    if (decision === 'deny') this.#settle(waiting, 'denied')
    else this.#grant(waiting, decision)
    return described
  }

  end(): void {
    for (const waiting of [...this.#waiting.values()]) {
      waiting.cancelTimer()
      this.#forget(waiting)
      this.#settle(waiting, 'denied')
    }
  }

  #ask(request: ApprovalRequest): Waiting {
    const digest = this.digestOf(request)
    const known = this.#waiting.get(digest)
    if (known !== undefined && !known.deciding) return known
    if (this.#waiting.size >= MAX_PENDING)
      throw new AuthorityError('E_RATE_LIMIT', `${MAX_PENDING} requests wait for approval already`, {
        hint: 'let a person answer those first',
      })
    const now = this.#options.clock.monotonicMs()
    const waiting: Waiting = {
      request,
      digest,
      askedMs: this.#options.clock.wallMs(),
      deadline: now + request.timeoutMs,
      cancelTimer: this.#options.after(request.timeoutMs, () => this.#expire(waiting)),
      waiters: new Set(),
      deciding: false,
    }
    try {
      this.#record(waiting, 'asked', null)
    } catch (error) {
      // What is not on record was not asked.
      waiting.cancelTimer()
      throw error
    }
    this.#waiting.set(digest, waiting)
    this.#options.onAsked(this.#describe(waiting))
    return waiting
  }

  /** A single approval goes to the first that waits; the others ask again. */
  #grant(waiting: Waiting, decision: 'once' | 'run'): void {
    const { digest, waiters, request } = waiting
    if (decision === 'run') {
      if (this.#granted.size < MAX_GRANTED) this.#granted.set(digest, Number.POSITIVE_INFINITY)
      return this.#settle(waiting, 'approved')
    }
    const [first, ...others] = waiters
    if (first === undefined) {
      if (this.#granted.size < MAX_GRANTED) this.#granted.set(digest, 1)
      return
    }
    waiters.clear()
    first('approved')
    if (others.length === 0) return
    const again = this.#ask(request)
    for (const other of others) again.waiters.add(other)
  }

  #expire(waiting: Waiting): void {
    if (waiting.deciding) return
    this.#forget(waiting)
    this.#record(waiting, 'expired', null)
    this.#settle(waiting, 'expired')
  }

  #forget({ digest }: Waiting): void {
    this.#waiting.delete(digest)
    this.#options.onSettled?.(digest)
  }

  /** Nobody waits for it any more. */
  #close(waiting: Waiting): void {
    waiting.cancelTimer()
    this.#forget(waiting)
    this.#record(waiting, 'withdrawn', null)
  }

  #settle(waiting: Waiting, outcome: ApprovalOutcome): void {
    for (const waiter of waiting.waiters) waiter(outcome)
    waiting.waiters.clear()
  }

  #record({ request, digest }: Waiting, event: string, by: string | null): void {
    const { operation, question, rule, policy, session } = request
    this.#options.audit.append({
      type: 'APPROVAL',
      event,
      request: digest,
      op: operation,
      session,
      action: question.action,
      object: question.object,
      rule,
      policy,
      by,
    })
  }

  #describe({ request, digest, askedMs, deadline }: Waiting): PendingApproval {
    return {
      id: digest.slice(0, ID_DIGITS),
      digest,
      operation: request.operation,
      permission: request.question.action,
      object: request.question.object,
      session: request.session,
      rule: request.rule,
      asked: new Date(askedMs).toISOString(),
      leftMs: Math.max(0, Math.round(deadline - this.#options.clock.monotonicMs())),
    }
  }
}

function u32(value: number): Uint8Array {
  return new Uint8Array([value >>> 24, value >>> 16, value >>> 8, value])
}
