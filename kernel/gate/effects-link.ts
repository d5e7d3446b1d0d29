import {
  AuthorityError,
  decode,
  encodeFrame,
  encodeMessage,
  LINK_CONTROL,
  LinkReader,
  MAX_FRAME_BYTES,
  MAX_SESSIONS,
  type WireValue,
} from '@authority/protocol'
import { MAX_UNREAD_BYTES } from './limits.ts'
import type { OperationRegistry } from './registry.ts'
import { Session } from './session.ts'
import type { Transport } from './transport.ts'

export interface EffectsLinkOptions {
  readonly transport: Transport
  readonly run: string
  readonly registry: OperationRegistry
  /** The guest broke the link's own rules: nothing on this port is believed any more. */
  readonly onFault: (error: AuthorityError) => void
}

/** The effects port: many sessions on one link, opened and closed by init. A session that misbehaves ends alone; a link that does ends the port. */
export class EffectsLink {
  private readonly options: EffectsLinkOptions
  private readonly sessions = new Map<number, Session>()
  private readonly closing = new Set<number>()
  private readonly reader = new LinkReader({ maxFrameBytes: MAX_FRAME_BYTES })
  private serial = 0
  private over = false

  constructor(options: EffectsLinkOptions) {
    this.options = options
    const { transport } = options
    transport.onData = (chunk) => this.onData(chunk)
    transport.onClose = () => void this.close()
    transport.onDrain = () => transport.resume()
  }

  get openSessions(): number {
    return this.sessions.size
  }

  async close(): Promise<void> {
    if (this.over) return
    this.over = true
    await Promise.allSettled([...this.sessions.values()].map((session) => session.end()))
  }

  private onData(chunk: Uint8Array): void {
    if (this.over) return
    try {
      this.reader.push(chunk, (session, item) => this.onFrame(session, item))
    } catch (error) {
      this.fault(error instanceof AuthorityError ? error : new AuthorityError('E_INTERNAL', 'the effects port failed', { cause: error }))
    }
    if (this.options.transport.queued > MAX_UNREAD_BYTES) this.options.transport.pause()
  }

  private onFrame(number: number, item: Uint8Array): void {
    if (number === 0) return this.onLinkControl(decode(item))
    const session = this.sessions.get(number)
    if (session !== undefined) return session.receive(item)
    // Frames that crossed our close are dropped until init confirms it.
    if (!this.closing.has(number)) throw new AuthorityError('E_PROTOCOL', `effects port: session ${number} was never opened`)
  }

  private onLinkControl(message: WireValue): void {
    const fields = Array.isArray(message) ? (message as readonly WireValue[]) : []
    const [type, session, pid, uid, exe] = fields
    if (type === LINK_CONTROL.SESSION_OPEN && fields.length === 5 && isU32(session) && isU32(pid) && isU32(uid) && typeof exe === 'string')
      return this.openSession(session, pid, exe)
    if (type === LINK_CONTROL.SESSION_CLOSE && fields.length === 2 && isU32(session)) return this.closedByGuest(session)
    throw new AuthorityError('E_PROTOCOL', 'effects port: malformed message on session 0')
  }

  private openSession(number: number, pid: number, executable: string): void {
    if (number === 0 || this.sessions.has(number) || this.closing.has(number))
      throw new AuthorityError('E_PROTOCOL', `effects port: session ${number} opened twice`)
    if (this.sessions.size >= MAX_SESSIONS) throw new AuthorityError('E_PROTOCOL', `effects port: more than ${MAX_SESSIONS} sessions`)
    this.serial += 1
    const session = new Session({
      subject: { session: `effects:${this.serial}`, via: 'session', pid, executable },
      run: this.options.run,
      registry: this.options.registry,
      send: (message) => this.options.transport.write(encodeMessage(number, message)),
      onEnd: () => this.closedByGate(number),
    })
    this.sessions.set(number, session)
  }

  private closedByGate(number: number): void {
    if (!this.sessions.delete(number) || this.over) return
    this.closing.add(number)
    this.options.transport.write(encodeFrame(0, [LINK_CONTROL.SESSION_CLOSE, number]))
  }

  private closedByGuest(number: number): void {
    if (this.closing.delete(number)) return
    const session = this.sessions.get(number)
    if (session === undefined) throw new AuthorityError('E_PROTOCOL', `effects port: session ${number} closed but never opened`)
    void session.end()
    // Its own close answered this one already: the number is free again.
    this.closing.delete(number)
  }

  private fault(error: AuthorityError): void {
    void this.close()
    this.options.onFault(error)
  }
}

function isU32(value: WireValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= 0xffffffff
}
