import {
  AuthorityError,
  encodeLinkControl,
  encodeMessage,
  LINK_CONTROL,
  type LinkControl,
  LinkReader,
  MAX_FRAME_BYTES,
  MAX_SESSIONS,
  parseLinkControl,
} from '@authority/protocol'
import { Intake } from './intake.ts'
import type { OperationRegistry } from './registry.ts'
import { Session, within } from './session.ts'
import type { Transport } from './transport.ts'

export interface EffectsLinkOptions {
  readonly transport: Transport
  readonly run: string
  readonly registry: OperationRegistry
  /** Who is at the other end: local programs (the default), or the guest's own network process. */
  readonly peer?: 'programs' | 'network'
  /** The guest broke the link's own rules: nothing on this port is believed any more. */
  readonly onFault: (error: AuthorityError) => void
}

/** The effects port: many sessions on one link, opened and closed by init. A session that misbehaves ends alone; a link that does ends the port. */
export class EffectsLink {
  private readonly options: EffectsLinkOptions
  private readonly sessions = new Map<number, Session>()
  /** Closed by the gate; the numbers are free again when init answers. */
  private readonly closing = new Set<number>()
  private readonly ending = new Set<Promise<void>>()
  private readonly reader = new LinkReader({ maxFrameBytes: MAX_FRAME_BYTES })
  private readonly intake: Intake
  private serial = 0
  private over = false

  constructor(options: EffectsLinkOptions) {
    this.options = options
    options.transport.onClose = () => void this.close()
    this.intake = new Intake(
      options.transport,
      (slice) => this.onSlice(slice),
      () => this.onRoom(),
    )
    this.intake.start()
  }

  get openSessions(): number {
    return this.sessions.size
  }

  /** The agent is gone: what it said last is on its way here, with the end of each of its streams. Resolves when all of it was passed on, or after `ms`. */
  async passOn(ms: number): Promise<void> {
    if (!this.over)
      await within(
        ms,
        [...this.sessions.values()].map((session) => session.passedOn()),
      )
  }

  /** Ends every session; resolves when what they had is closed and recorded. */
  async close(): Promise<void> {
    if (!this.over) {
      this.over = true
      this.intake.stop()
      this.reader.stop()
      for (const session of this.sessions.values()) this.end(session)
    }
    await Promise.allSettled([...this.ending])
  }

  private onSlice(slice: Uint8Array): void {
    try {
      this.reader.push(slice, (session, item) => this.onFrame(session, item))
    } catch (error) {
      this.fault(error instanceof AuthorityError ? error : new AuthorityError('E_INTERNAL', 'the effects port failed', { cause: error }))
    }
  }

  private onRoom(): void {
    for (const session of this.sessions.values()) session.onRoom()
  }

  private onFrame(number: number, item: Uint8Array): void {
    if (number === 0) return this.onLinkControl(parseLinkControl(item))
    const session = this.sessions.get(number)
    if (session !== undefined) return session.receive(item)
    // Frames that crossed our close are dropped until init confirms it.
    if (!this.closing.has(number)) throw new AuthorityError('E_PROTOCOL', `effects port: session ${number} was never opened`)
  }

  private onLinkControl(message: LinkControl): void {
    if (message.type === LINK_CONTROL.SESSION_OPEN) this.openSession(message.session, message.pid, message.exe)
    else this.closedByGuest(message.session)
  }

  private openSession(number: number, pid: number, executable: string): void {
    if (number === 0 || this.sessions.has(number) || this.closing.has(number))
      throw new AuthorityError('E_PROTOCOL', `effects port: session ${number} opened twice`)
    // Closed ones count until init answers: one that never does must not make the set grow.
    if (this.sessions.size + this.closing.size >= MAX_SESSIONS)
      throw new AuthorityError('E_PROTOCOL', `effects port: more than ${MAX_SESSIONS} sessions`)
    this.serial += 1
    const session: Session = new Session({
      subject:
        this.options.peer === 'network'
          ? { session: `net:${this.serial}`, via: 'init' }
          : { session: `effects:${this.serial}`, via: 'session', pid, executable },
      run: this.options.run,
      registry: this.options.registry,
      send: (message) => this.options.transport.write(encodeMessage(number, message)),
      room: () => this.intake.room,
      onEnd: () => {
        this.end(session)
        this.closedByGate(number)
      },
    })
    this.sessions.set(number, session)
  }

  /** Remembers the end of a session until all it had is closed. */
  private end(session: Session): void {
    const ended: Promise<void> = session.end().finally(() => this.ending.delete(ended))
    this.ending.add(ended)
  }

  private closedByGate(number: number): void {
    if (!this.sessions.delete(number) || this.over) return
    this.closing.add(number)
    this.options.transport.write(encodeLinkControl({ type: LINK_CONTROL.SESSION_CLOSE, session: number }))
  }

  private closedByGuest(number: number): void {
    if (this.closing.delete(number)) return
    const session = this.sessions.get(number)
    if (session === undefined) throw new AuthorityError('E_PROTOCOL', `effects port: session ${number} closed but never opened`)
    this.end(session)
    // Its own close answered this one already: the number is free again.
    this.closing.delete(number)
  }

  private fault(error: AuthorityError): void {
    void this.close()
    this.options.onFault(error)
  }
}
