import { AuthorityError, MAX_MARK_ROWS, type OperationName, operationRow, requestArgs, type WireValue } from '@authority/protocol'
import { isSharedAccount, OPERATION_CLASSES } from '../budget/index.ts'
import type { BudgetStage } from '../budget/types.ts'
import type { CapabilityStage } from '../capability/types.ts'
import type { BytesOperation, EffectClass, EffectResult, EffectSession } from '../effects/contract.ts'
import { type HeldByStreams, HeldBytes } from './held-bytes.ts'
import { MAX_UNTAKEN_BYTES, MAX_WAITING_BYTES } from './limits.ts'
import { type Abortable, signalOf } from './request-abort.ts'
import type { ApprovalMode, Gate } from './types.ts'

export interface PerformRequest {
  readonly operation: OperationName
  /** Checked against the operations table. */
  readonly args: readonly WireValue[]
  readonly session: EffectSession
  readonly handle: number
  readonly signal: Abortable
  /** The request as it was received, for the commitment in the INTENT. */
  readonly item: Uint8Array
  readonly approval?: ApprovalMode
}

/** What an operation answers; of an effect with what its record says. */
export type Performed = readonly WireValue[] | EffectResult

export function resultOf(performed: Performed): readonly WireValue[] {
  return 'result' in performed ? performed.result : performed
}

/** What an operator may do through control.sock; the composition root supplies it. */
export type OperatorOperation = (args: readonly WireValue[]) => Promise<readonly WireValue[]>

export interface RegistryOptions {
  /** `latched`: why nothing is allowed any more, or null. */
  readonly gate: Gate & { readonly latched: string | null }
  readonly capability: CapabilityStage
  readonly budget: BudgetStage
  readonly effects: readonly EffectClass[]
  readonly bytes: readonly BytesOperation[]
  readonly operator?: ReadonlyMap<OperationName, OperatorOperation>
}

/** Which implementation performs which operation; whatever has none answers E_UNSUPPORTED. */
export class OperationRegistry {
  readonly held: HeldByStreams = { untaken: new HeldBytes(MAX_UNTAKEN_BYTES), waiting: new HeldBytes(MAX_WAITING_BYTES) }
  private readonly options: RegistryOptions
  private readonly effects: ReadonlyMap<OperationName, EffectClass>
  private readonly bytes: ReadonlyMap<OperationName, BytesOperation>

  constructor(options: RegistryOptions) {
    this.options = options
    this.effects = new Map(options.effects.map((effect) => [effect.operation, effect]))
    this.bytes = new Map(options.bytes.map((operation) => [operation.operation, operation]))
  }

  /** Throws E_CAP_*. */
  bind(session: string, token: string): number {
    return this.options.capability.bind(session, token)
  }

  endSession(session: string): void {
    this.options.capability.endSession(session)
  }

  /** A forged handle helps nowhere, not even where none is needed. Throws E_CAP_INVALID. */
  assertHandle(session: string, handle: number): void {
    const verdict = this.options.capability.check(session, handle, [], true)
    if (!verdict.allow && verdict.code === 'E_CAP_INVALID') throw new AuthorityError(verdict.code, verdict.reason)
  }

  /** Throws or rejects with AuthorityError; what needs no waiting is answered at once. */
  perform(request: PerformRequest): Performed | Promise<Performed> {
    const { operation, args, session } = request
    const effect = this.effects.get(operation)
    if (effect !== undefined) return this.performEffect(request, effect)
    const bytes = this.bytes.get(operation)
    if (bytes !== undefined) return this.performBytes(bytes, args, session)
    const operator = session.subject.via === 'operator' ? this.options.operator?.get(operation) : undefined
    if (operator !== undefined) return operator(args)
    if (operation === 'budget.marks') return this.marks(request)
    return this.performControl(request)
  }

  private performEffect(request: PerformRequest, implementation: EffectClass): EffectResult | Promise<EffectResult> {
    const { operation, args, session, handle, signal } = request
    const { subject } = session
    const { gate } = this.options
    const effect = implementation.prepare(args, session)
    if (operationRow(operation).class === 'look') return gate.look({ operation, subject, handle, effect })
    const argsBytes = requestArgs(request.item)
    return gate.admit({ operation, subject, handle, effect, signal, argsBytes, approval: request.approval ?? 'wait' })
  }

  private performBytes(bytes: BytesOperation, args: readonly WireValue[], session: EffectSession): ReturnType<BytesOperation['perform']> {
    const { latched } = this.options.gate
    if (latched !== null) throw new AuthorityError('E_AUDIT', `the audit log cannot be written: ${latched}`)
    return bytes.perform(args, session)
  }

  /** Operations about the session itself: they change nothing outside it. */
  private performControl({ operation, args, session, handle }: PerformRequest): readonly WireValue[] {
    const { capability, budget } = this.options
    const name = session.subject.session
    switch (operation) {
      case 'session.ping':
        return [args[0] ?? null]
      case 'cap.bind':
        return [capability.bind(name, String(args[0]))]
      case 'cap.release':
        capability.release(name, Number(args[0]))
        return []
      case 'cap.self':
        // A session that was handed a narrower token must not fetch the run's own: it attenuates what it holds.
        if (handle !== 0) throw new AuthorityError('E_CAP_SCOPE', 'this session acts under a token of its own: attenuate that one')
        return [capability.runToken]
      case 'budget.status': {
        const rows = budget.rows(this.accountsOf(name, handle))
        return [rows.map((row) => [row.account, row.dimension, row.limit, row.captured, row.reserved])]
      }
      case 'budget.history': {
        const account = String(args[0])
        // The same answer whether it exists or not: what other sessions spend is not this one's to know.
        if (!this.accountsOf(name, handle).includes(account))
          throw new AuthorityError('E_NOT_FOUND', 'no effect of this session is charged to that account', {
            hint: 'budget.status names the accounts there are.',
          })
        return [budget.history(account).map((row) => [row.dimension, row.points.map((point) => [point.timeMs, point.captured])])]
      }
      default:
        throw new AuthorityError('E_UNSUPPORTED', `${operation} is not available in this version`, { hint: 'LIMITS.md lists what is' })
    }
  }

  /** Soft marks the session was not told of yet; waits where there are none. Of what runs share it hears nothing: what others spend is not this one's to know. */
  private async marks({ args, session, handle, signal }: PerformRequest): Promise<readonly WireValue[]> {
    const { budget } = this.options
    let after = Number(args[0])
    for (;;) {
      // Asked each time: a token may have been revoked while it waited.
      const accounts = this.accountsOf(session.subject.session, handle).filter((account) => !isSharedAccount(account))
      const marks = budget.marksAfter(after, accounts).slice(0, MAX_MARK_ROWS)
      if (marks.length > 0)
        return [marks.map((mark) => [mark.number, mark.account, mark.dimension, mark.percent, mark.captured, mark.limit])]
      after = Math.max(after, budget.lastMark)
      await budget.nextMark(signalOf(signal))
    }
  }

  /** The accounts that effects of this capability are charged to. Throws E_CAP_*. */
  private accountsOf(session: string, handle: number): readonly string[] {
    const verdict = this.options.capability.check(session, handle, [])
    if (!verdict.allow) throw new AuthorityError(verdict.code, verdict.reason)
    return [
      'run',
      ...this.options.budget.sharedAccounts,
      ...OPERATION_CLASSES.map((name) => `class:${name}`),
      ...verdict.blocks.map((block) => `block:${block}`),
    ]
  }
}
