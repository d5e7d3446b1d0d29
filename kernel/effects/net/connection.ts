import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { AuthorityError } from '@authority/protocol'
import type { ByteLease, EffectSession, GateStream } from '../contract.ts'
import { HELLO_FLIGHT_DEADLINE_MS } from './limits.ts'
import type { TlsCheck } from './tls-check.ts'

/** What a connection must begin with, and who is told when it names another host (and may throw that denial). */
export interface Opening {
  readonly check: TlsCheck
  readonly onOtherName: (serverName: string) => Promise<void>
}

/** One TCP connection between an agent's stream and the world. Both directions spend the lease before a byte moves. */
export class Connection {
  private readonly socket: Socket
  private readonly lease: ByteLease
  private readonly sent = createHash('sha256')
  private readonly received = createHash('sha256')
  private sentBytes = 0
  private receivedBytes = 0
  /** What came last is on its way to the agent; the end must not overtake it. */
  private delivering: Promise<void> = Promise.resolve()
  private readonly finished: Promise<void>
  /** Until its check has passed nothing goes to the host, and nothing is taken from it. */
  private opening: Opening | null
  private tls: string | null

  constructor(socket: Socket, lease: ByteLease, opening: Opening | null = null) {
    this.socket = socket
    this.lease = lease
    this.opening = opening
    this.tls = opening === null ? null : 'no ClientHello'
    this.finished = new Promise((resolve) => socket.once('close', () => resolve(this.close())))
  }

  /** Throws E_RATE_LIMIT, E_CANCELLED; the socket is the caller's then. */
  attach(session: EffectSession): GateStream {
    const { socket } = this
    const stream = session.openStream({
      write: (data) => this.forward(data),
      end: () => {
        socket.end()
      },
      reset: () => {
        this.abort()
        return this.finished
      },
    })
    // Listening for data begins to read: not before the opening has passed.
    if (this.opening !== null) socket.pause()
    socket.on('data', (data: Buffer) => {
      const delivered = this.deliver(data, stream)
      // Mostly the agent's credit takes it at once; to pause and resume for each chunk costs more than to pass it on.
      if (delivered === undefined) return
      // One chunk at a time: the next is read when the agent's credit took this one.
      socket.pause()
      this.delivering = delivered.then(
        () => void socket.resume(),
        (error: unknown) => this.fail(stream, error),
      )
    })
    socket.on('end', () => void this.delivering.then(() => stream.end()))
    socket.on('error', (error: NodeJS.ErrnoException) => stream.reset('E_UPSTREAM', `the connection failed: ${error.code ?? 'error'}`))
    this.lease.onWithdrawn((error) => this.fail(stream, error))
    if (this.opening === null) socket.resume()
    else this.expectOpening(stream)
    return stream
  }

  private expectOpening(stream: GateStream): void {
    const timer = setTimeout(() => {
      this.fail(stream, new AuthorityError('E_TIMEOUT', `no TLS ClientHello within ${HELLO_FLIGHT_DEADLINE_MS} ms`))
    }, HELLO_FLIGHT_DEADLINE_MS)
    this.socket.once('resume', () => clearTimeout(timer))
    this.socket.once('close', () => clearTimeout(timer))
  }

  private async forward(data: Uint8Array): Promise<void> {
    const passed = this.opening === null ? data : await this.open(this.opening, data)
    if (passed !== null) await this.write(passed)
  }

  /** What may go on: all that was held once the check passed, null before. Throws E_POLICY_DENY. */
  private async open({ check, onOtherName }: Opening, data: Uint8Array): Promise<Uint8Array | null> {
    const verdict = check.take(data)
    if (verdict.state === 'partial') return null
    if (verdict.state === 'refused') {
      this.tls = verdict.error.message
      if (verdict.serverName !== null) await onOtherName(verdict.serverName)
      throw verdict.error
    }
    this.tls = 'passthrough'
    this.opening = null
    this.socket.resume()
    return verdict.held
  }

  private async write(data: Uint8Array): Promise<void> {
    await this.lease.spend(data.length, 'bytes_out')
    await new Promise<void>((resolve, reject) => {
      this.socket.write(data, (error) =>
        error ? reject(new AuthorityError('E_UPSTREAM', 'the connection does not take any more', { cause: error })) : resolve(),
      )
    })
    this.sentBytes += data.length
    this.sent.update(data)
  }

  private deliver(data: Uint8Array, stream: GateStream): undefined | Promise<void> {
    const spent = this.lease.spend(data.length, 'bytes_in')
    return spent === undefined ? this.passOn(data, stream) : spent.then(() => this.passOn(data, stream))
  }

  private passOn(data: Uint8Array, stream: GateStream): undefined | Promise<void> {
    this.receivedBytes += data.length
    this.received.update(data)
    return stream.send(data)
  }

  private fail(stream: GateStream, error: unknown): void {
    const failure =
      error instanceof AuthorityError ? error : new AuthorityError('E_INTERNAL', 'the connection failed inside the gate', { cause: error })
    stream.reset(failure.code, failure.message)
    this.abort()
  }

  /** A host must not take what was cut off for the whole; what was whole must not be cut off. */
  private abort(): void {
    if (this.socket.writableEnded) this.socket.destroy()
    else this.socket.resetAndDestroy()
  }

  private async close(): Promise<void> {
    const detail = {
      bytes_out: this.sentBytes,
      bytes_in: this.receivedBytes,
      sha256_out: this.sent.digest('hex'),
      sha256_in: this.received.digest('hex'),
      ...(this.tls === null ? {} : { tls: this.tls }),
    }
    // A log that cannot be written latches by itself; there is nobody here to tell.
    await this.lease.close(detail).catch(() => undefined)
  }
}
