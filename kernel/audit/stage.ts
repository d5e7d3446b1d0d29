/** The audit stage of one run: order at once, durability in groups, checkpoints by count and by time, and a latch that never opens again. */
import { AuthorityError } from '@authority/protocol'
import type { CheckpointFile } from './checkpoints.ts'
import type { Commitments } from './commitments.ts'
import { auditError, type LogBytesExceeded } from './errors.ts'
import { toHex } from './hash.ts'
import type { Installation } from './installation.ts'
import type { NotedHead } from './installation-records.ts'
import { Ledger } from './ledger.ts'
import { CLOSE_BYTES, COMPANY_FLUSHES, MAX_OPEN_EFFECTS, OUTCOME_BYTES } from './limits.ts'
import { type Log, LogFull } from './log.ts'
import type { LogBody } from './payload.ts'
import { LogRoom } from './room.ts'
import type { AuditStage, RecordBody } from './types.ts'

/** Records that end what has begun: a log that could not take what must be said still takes them. */
const CLOSING: ReadonlySet<string> = new Set([
  'OUTCOME',
  'CLOSE',
  'FATAL',
  'RUN_END',
  'CHECKPOINT',
  'RECOVERED',
  'STDIO',
  'DENY_REPEAT',
  'LOOK',
  'TIME',
] satisfies RecordBody['type'][])

/** Records that can be refused: whoever asked for one hears that there is no room. A denial has a last resort. */
const REFUSABLE: ReadonlySet<string> = new Set(['POLICY', 'LEASED', 'GUEST', 'CHECKPOINT', 'DENY', 'LOOK'] satisfies RecordBody['type'][])

export interface RunLogParts {
  readonly path: string
  readonly run: string
  readonly log: Log
  /** Bytes its frames may have together. */
  readonly maxBytes: number
  readonly checkpoints: CheckpointFile
  readonly installation: Installation
  readonly commitments: Commitments
  readonly checkpointRecords: number
  /** 0: no timer. */
  readonly checkpointMs: number
  /** Runs a flush after the events at hand, so that all requests of one read batch share it; `alone`: nobody is there to share it with, after what runs now. */
  readonly schedule: (flush: () => void, alone: boolean) => void
  readonly unlock: () => void
}

/** All who wait for one flush. */
interface FlushGroup {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

type RunEnd = Extract<RecordBody, { type: 'RUN_END' }>

export class RunLog implements AuditStage {
  /** Folder of this log. */
  readonly path: string
  readonly run: string
  readonly #parts: RunLogParts
  readonly #ledger = new Ledger()
  readonly #room: LogRoom
  #waiting: FlushGroup | null = null
  #scheduled = false
  #lastSession = ''
  /** Flushes for which more sessions than one are expected. */
  #company = 0
  #latched: string | null = null
  #full = false
  #ended = false
  #checkpointSize = 0
  /** Notes for the installation log go out one after another. */
  #notes: Promise<void> = Promise.resolve()
  #timer: ReturnType<typeof setInterval> | null = null

  constructor(parts: RunLogParts) {
    this.#parts = parts
    this.#room = new LogRoom(parts.maxBytes, () => parts.log.frameBytes, this.#ledger)
    this.path = parts.path
    this.run = parts.run
  }

  get latched(): string | null {
    return this.#latched
  }
  get bytes(): number {
    return this.#parts.log.bytes
  }
  /** Of these the bytes of frames: what `log_bytes` limits. */
  get frameBytes(): number {
    return this.#parts.log.frameBytes
  }
  /** Records appended so far. */
  get size(): number {
    return this.#parts.log.size
  }

  /** SHA-256 of the commitment key. */
  get commitmentKeyId(): string {
    return this.#parts.commitments.id
  }

  commit(value: Uint8Array | string): string {
    return this.#parts.commitments.commit(value)
  }

  /** The first record, its checkpoint, and the line in the installation log; then the timer. */
  async begin(start: Extract<RecordBody, { type: 'RUN_START' }>): Promise<void> {
    this.append(start)
    await this.#checkpointed((head) => ({
      type: 'RUN_OPENED',
      origin: this.#parts.log.origin,
      operator_uid: start.operator_uid,
      build: start.build,
      policy: start.policy,
      ...head,
    }))
    if (this.#parts.checkpointMs > 0) {
      this.#timer = setInterval(() => this.#checkpointUnlessTight(), this.#parts.checkpointMs)
      this.#timer.unref?.()
    }
  }

  hold(bytes: number): LogBytesExceeded | null {
    return this.#room.hold(bytes)
  }

  release(bytes: number): void {
    this.#room.release(bytes)
  }

  get tight(): boolean {
    return this.#room.tight
  }

  append(body: RecordBody, last = false): number {
    if (this.#ended) throw auditError('The audit log is sealed: nothing can be added.')
    if (this.#latched !== null && !(this.#full && CLOSING.has(body.type))) throw auditError(this.#latched)
    if (body.type === 'INTENT' && this.#ledger.open >= MAX_OPEN_EFFECTS)
      throw auditError(`${MAX_OPEN_EFFECTS} effects are open: close some first.`)
    return this.#append(body, last)
  }

  #append(body: RecordBody, last: boolean): number {
    const room = this.#tryAppend(body, this.#room.behindNew(body), false)
    if (typeof room === 'number') return room
    const behind = this.#room.behindKept(body, last)
    if (behind === null) throw this.#room.refusal(room.frameBytes, body)
    const kept = this.#tryAppend(withinPromise(body, room.frameBytes), behind, true)
    if (typeof kept === 'number') return kept
    if (!last && REFUSABLE.has(body.type)) throw this.#room.refusal(room.frameBytes, body)
    throw this.#fillUp(`There is no room in the log for a ${body.type} record.`)
  }

  /** The record's number, or why there is no room. */
  #tryAppend(body: RecordBody, behind: number, kept: boolean): number | LogFull {
    try {
      const seq = this.#parts.log.append(body as unknown as LogBody, behind)
      this.#ledger.note(seq, body)
      if (body.type === 'INTENT') this.#meet(body.session)
      this.#room.note(body, kept)
      return seq
    } catch (error) {
      if (error instanceof LogFull) return error
      if (this.#parts.log.broken !== null) this.#latch(this.#parts.log.broken)
      throw error
    }
  }

  #meet(session: string): void {
    if (session !== this.#lastSession) this.#company = COMPANY_FLUSHES
    this.#lastSession = session
  }

  /** What must be on record has no room, which only people can bring about: what has begun may still end, nothing new begins. */
  #fillUp(reason: string): AuthorityError {
    const first = !this.#full
    this.#full = true
    this.#latched ??= `${reason} Nothing is allowed any more.`
    if (first) this.#tryAppend({ type: 'FATAL', reason }, 0, true)
    return auditError(this.#latched, 'Give the next run a larger log_bytes budget.')
  }

  durable(): Promise<void> {
    if (this.#latched !== null && !this.#full) return Promise.reject(auditError(this.#latched))
    if (!this.#parts.log.pending) return Promise.resolve()
    this.#waiting ??= flushGroup()
    const { promise } = this.#waiting
    if (!this.#scheduled) this.#schedule(this.#alone)
    return promise
  }

  #schedule(alone: boolean): void {
    this.#scheduled = true
    this.#parts.schedule(alone ? this.#flushAlone : this.#flushForAll, alone)
  }

  /** The first of several that one read brought could not know of the others. */
  readonly #flushAlone = (): void => {
    if (this.#alone) this.#flushForAll()
    else this.#schedule(false)
  }

  /** One effect at most is under way, and of late no session but one began any: looking for others' requests first would only cost. */
  get #alone(): boolean {
    return this.#ledger.outcomesOwed <= 1 && this.#company === 0
  }

  readonly #flushForAll = (): void => {
    this.#scheduled = false
    if (this.#company > 0) this.#company -= 1
    const waiting = this.#waiting
    this.#waiting = null
    try {
      this.#flush()
      waiting?.resolve()
    } catch (error) {
      waiting?.reject(error)
      return
    }
    if (!this.#ended && this.size - this.#checkpointSize >= this.#parts.checkpointRecords) this.#checkpointUnlessTight()
  }

  /** By count and by time; a failure has latched already. The last one, at the end of the run, has its room. */
  #checkpointUnlessTight(): void {
    if (!this.tight) void this.checkpoint().catch(() => {})
  }

  #flush(): void {
    try {
      this.#parts.log.flush()
    } catch (error) {
      this.#latch(this.#parts.log.broken ?? String(error))
      throw auditError(this.#latched ?? 'The audit log is broken.', undefined, error)
    }
  }

  #latch(reason: string): void {
    if (this.#latched === null || this.#full) this.#latched = reason
    this.#full = false
    if (this.#timer) clearInterval(this.#timer)
    this.#timer = null
    this.#waiting?.reject(auditError(reason))
    this.#waiting = null
  }

  /** Signs where the log stands, durably, and notes it in the installation log. Rejects with E_AUDIT; a failure latches. */
  async checkpoint(): Promise<void> {
    if (this.#latched !== null || this.#ended) return
    await this.#checkpointed((head) => ({ type: 'RUN_CHECKPOINT', ...head }))
  }

  async #checkpointed(note: (head: NotedHead) => Parameters<Installation['note']>[0]): Promise<void> {
    const head = this.#signHead()
    this.append({ type: 'CHECKPOINT', size: head.size, root: head.root })
    await this.#noteInOrder(note(head))
  }

  /** Flush, then the note about it: a checkpoint never covers what is not durable. */
  #signHead(): NotedHead {
    const { log, checkpoints, installation } = this.#parts
    this.#flush()
    const head = { run: this.run, size: log.size, root: toHex(log.root()), chain: toHex(log.chain) }
    try {
      checkpoints.add(installation.sign({ origin: log.origin, size: log.size, root: log.root() }))
    } catch (error) {
      this.#latch(error instanceof Error ? error.message : String(error))
      throw error
    }
    this.#checkpointSize = head.size
    return head
  }

  #noteInOrder(record: Parameters<Installation['note']>[0]): Promise<void> {
    const noted = this.#notes.then(() => this.#parts.installation.note(record))
    this.#notes = noted.catch((error: unknown) => {
      this.#latch(
        `The installation log could not be written: ${error instanceof Error ? error.message : String(error)} Nothing is allowed any more.`,
      )
      throw error
    })
    // Whoever needs it awaits it; a failure nobody awaits has latched already.
    this.#notes.catch(() => {})
    return this.#notes
  }

  async seal(end: RunEnd): Promise<{ readonly seq: number; readonly root: string }> {
    if (this.#ended) throw auditError('The audit log is sealed already.')
    await this.#notes
    if (this.#latched !== null && !this.#full) throw auditError(this.#latched)
    for (const closing of this.#ledger.closings('the run ended')) this.append(closing)
    const seq = this.append(end)
    this.#ended = true
    if (this.#timer) clearInterval(this.#timer)
    this.#timer = null
    return { seq, root: await this.#finish(end.ended_by) }
  }

  async #finish(endedBy: string): Promise<string> {
    try {
      const head = this.#signHead()
      this.#parts.log.finish()
      await this.#noteInOrder({ type: 'RUN_SEALED', ended_by: endedBy, ...head })
      return head.root
    } catch (error) {
      this.#latch(error instanceof Error ? error.message : String(error))
      throw error instanceof AuthorityError ? error : auditError('The audit log could not be sealed.', undefined, error)
    } finally {
      this.#release()
    }
  }

  /** Lets go without sealing, for a start that failed or a test that crashes: the next recovery finishes the log. */
  abandon(): void {
    if (this.#ended) return
    this.#ended = true
    this.#latch('The audit log was abandoned.')
    this.#release()
  }

  #release(): void {
    this.#parts.log.close()
    this.#parts.checkpoints.close()
    this.#parts.unlock()
  }
}

/** As Promise.withResolvers, which costs more. */
let [resolveNext, rejectNext]: [FlushGroup['resolve'], FlushGroup['reject']] = [() => {}, () => {}]
const keepResolvers = (resolve: () => void, reject: (reason: unknown) => void): void => {
  resolveNext = resolve
  rejectNext = reject
}

function flushGroup(): FlushGroup {
  const promise = new Promise<void>(keepResolvers)
  return { promise, resolve: resolveNext, reject: rejectNext }
}

/** An end is told in the room its INTENT kept for it: where that is short, without its detail. */
function withinPromise(body: RecordBody, frameBytes: number): RecordBody {
  if (body.type === 'CLOSE') return frameBytes > CLOSE_BYTES ? { ...body, detail: {} } : body
  if (body.type !== 'OUTCOME' || frameBytes <= OUTCOME_BYTES) return body
  const { detail: _detail, us: _us, ...rest } = body
  return rest
}
