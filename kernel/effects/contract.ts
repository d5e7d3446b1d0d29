/** The small contract between an effect and the pipeline: all an effect folder knows of the gate, and all the gate knows of an effect. */
import type { AuthorityError, OperationName, WireValue } from '@authority/protocol'
import type { ByteWay, Charges, Dimension, Json, Question, Subject } from '../vocabulary/index.ts'

/** What an admitted effect may use while it runs. */
export interface Permit {
  /** Sequence number of the INTENT. */
  readonly intent: number
  /** Aborted at the deadline, on cancel, at the end of the session or the run. */
  readonly signal: AbortSignal
  /** Decides and durably records a further object (a redirect hop, a resolved address). Throws the denial as AuthorityError. */
  decideAgain(questions: readonly Question[], requested: string): Promise<void>
  /** Reserves more than the worst case said, by a durable record, before it is used. Throws the denial, E_BUDGET_EXCEEDED. */
  reserveMore(more: Charges): Promise<void>
  /** Turns the byte reservation of this effect into a lease that lives until `close`. At most once. */
  lease(): ByteLease
}

/** Bytes an open handle or stream may still move. */
export interface ByteLease {
  /** Counts bytes about to be moved that way, and in all. Returns at once while the lease lasts; otherwise a promise that renews it durably or rejects with E_BUDGET_EXCEEDED / E_AUDIT. */
  spend(bytes: number, way: ByteWay): undefined | Promise<void>
  /** `end` is called at most once, when what was opened is not allowed any more (a revocation, another policy, the end of a token's time): it lets go at once and closes. */
  onWithdrawn(end: (error: AuthorityError) => void): void
  /** Records the CLOSE durably and frees what was not used. Twice: no-op. `detail` holds totals and a digest. */
  close(detail: { readonly [key: string]: Json }): Promise<void>
}

export interface EffectResult {
  /** In the order of the operations table. */
  readonly result: readonly WireValue[]
  /** What was really used, of the dimensions reserved; left out: all of it. `bytes` move only through the lease, which settles them. */
  readonly captured?: Charges
  /** Small facts for the OUTCOME record; never values. */
  readonly detail?: { readonly [key: string]: Json }
}

/**
 * One effect on its way through the pipeline. Order: `requested` is decided before anything is looked at (so a denial reveals nothing) → `resolve`
 * finds the object without changing the world and holds on to it → what it returns is decided too → budget → INTENT → `execute` uses only what `resolve` holds.
 */
export interface PreparedEffect {
  /** What the agent asked for, canonical in form only. All must be allowed; some operations accept any one of several alternatives per entry. */
  readonly requested: readonly Question[]
  /** Why nothing is asked at first, where that is meant: the operator put the object there. Heard of looks only; any other effect that asks nothing is refused. */
  readonly unasked?: string
  /** The object as the agent named it, for its own denial. */
  readonly requestedText: string
  /** Finds and holds the real object; returns the questions about it and its text for the record. `signal` is for those that wait for something. Throws AuthorityError (E_NOT_FOUND…). */
  resolve(signal: () => AbortSignal): Promise<ResolvedObject> | ResolvedObject
  /** The most this can use, beyond the one call every change costs; called after resolve. `available` tells what is left on the tightest account (Infinity: unlimited). */
  worstCase(available: (dimension: Dimension) => number): Charges
  execute(permit: Permit): Promise<EffectResult> | EffectResult
  /** Always called once, last, whatever happened. Lets go of what resolve holds. */
  release(): void
}

export interface ResolvedObject {
  readonly questions: readonly Question[]
  /** Canonical text for the operator's record. */
  readonly object: string
}

/** What an effect class may know of the caller: where its handles and streams live. */
export interface EffectSession {
  readonly subject: Subject
  /** Keeps an open thing until the session ends (then `close` is called); returns its number on the wire. Throws E_RATE_LIMIT when the session is full. */
  hold(thing: HeldThing): number
  /** The thing of that number and kind, or throws E_CAP_INVALID: another session's handle is nobody's here. */
  held<T extends HeldThing>(number: number, kind: T['kind']): T
  /** Lets go without calling close. */
  drop(number: number): void
  /** Opens a byte stream with per-direction credit. Throws E_RATE_LIMIT when the session has too many. */
  openStream(ends: StreamEnds): GateStream
}

export interface HeldThing {
  readonly kind: string
  /** Called at most once, when the session ends or its owner closes it. */
  close(): Promise<void>
}

/** What the effect does with bytes from the agent. */
export interface StreamEnds {
  /** Bytes from the agent; the promise resolves when they were passed on, and only then credit is given back. */
  write(data: Uint8Array): Promise<void>
  /** The agent finished writing. */
  end(): void
  /** Either side is gone; nothing more will be called. A promise resolves when what the effect had is closed and recorded: the end of a session waits for it. */
  reset(): void | Promise<void>
}

/** What the effect does with bytes for the agent. */
export interface GateStream {
  readonly number: number
  /** Undefined when the agent's credit took it all at once; else a promise that resolves when it has, and rejects when the stream is over. Split into chunks by the session. */
  send(data: Uint8Array): undefined | Promise<void>
  end(): void
  reset(code: import('@authority/protocol').ErrorCode, message: string): void
}

/** An operation's implementation. `args` were checked against the operations table. */
export interface EffectClass {
  readonly operation: OperationName
  prepare(args: readonly WireValue[], session: EffectSession): PreparedEffect
}

/** Bytes on an open handle or stream: no decision of its own, spends its handle's lease. */
export interface BytesOperation {
  readonly operation: OperationName
  perform(args: readonly WireValue[], session: EffectSession): Promise<readonly WireValue[]> | readonly WireValue[]
}
