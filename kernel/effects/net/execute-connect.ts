import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { AuthorityError } from '@authority/protocol'
import type { ByteLease, EffectResult, EffectSession, GateStream, Permit } from '../contract.ts'
import { dialFirst } from './dial.ts'
import type { Target } from './object.ts'
import { type VetDependencies, vettedAddresses } from './vet.ts'

/** Dials the vetted, pinned address and joins it to a stream of the session. */
export async function executeConnect(target: Target, session: EffectSession, permit: Permit, deps: VetDependencies): Promise<EffectResult> {
  const addresses = await vettedAddresses(target, permit, deps)
  const { socket, address } = await dialFirst(addresses, target.port, permit.signal)
  try {
    const stream = new Connection(socket, permit.lease()).attach(session)
    return { result: [stream.number, address], detail: { address, mode: 'passthrough' } }
  } catch (error) {
    socket.destroy()
    throw error
  }
}

/** One TCP connection between an agent's stream and the world. Both directions spend the lease before a byte moves. */
class Connection {
  private readonly socket: Socket
  private readonly lease: ByteLease
  private readonly sent = createHash('sha256')
  private readonly received = createHash('sha256')
  private sentBytes = 0
  private receivedBytes = 0
  private closed = false

  constructor(socket: Socket, lease: ByteLease) {
    this.socket = socket
    this.lease = lease
  }

  attach(session: EffectSession): GateStream {
    const stream = session.openStream({
      write: (data) => this.forward(data),
      end: () => this.socket.end(),
      reset: () => this.socket.destroy(),
    })
    this.socket.on('data', (data: Buffer) => {
      // One chunk at a time: the next is read when the agent's credit took this one.
      this.socket.pause()
      this.deliver(data, stream).then(
        () => this.socket.resume(),
        (error: unknown) => this.fail(stream, error),
      )
    })
    this.socket.on('end', () => stream.end())
    this.socket.on('error', (error: NodeJS.ErrnoException) => stream.reset('E_UPSTREAM', `the connection failed: ${error.code ?? 'error'}`))
    this.socket.on('close', () => this.finish())
    this.socket.resume()
    return stream
  }

  private async forward(data: Uint8Array): Promise<void> {
    await this.lease.spend(data.length)
    await new Promise<void>((resolve, reject) => {
      this.socket.write(data, (error) =>
        error ? reject(new AuthorityError('E_UPSTREAM', 'the connection does not take any more', { cause: error })) : resolve(),
      )
    })
    this.sentBytes += data.length
    this.sent.update(data)
  }

  private async deliver(data: Uint8Array, stream: GateStream): Promise<void> {
    await this.lease.spend(data.length)
    this.receivedBytes += data.length
    this.received.update(data)
    await stream.send(data)
  }

  private fail(stream: GateStream, error: unknown): void {
    const failure =
      error instanceof AuthorityError ? error : new AuthorityError('E_INTERNAL', 'the connection failed inside the gate', { cause: error })
    stream.reset(failure.code, failure.message)
    this.socket.destroy()
  }

  private finish(): void {
    if (this.closed) return
    this.closed = true
    const detail = {
      bytes_out: this.sentBytes,
      bytes_in: this.receivedBytes,
      sha256_out: this.sent.digest('hex'),
      sha256_in: this.received.digest('hex'),
    }
    // A log that cannot be written latches by itself; there is nobody here to tell.
    this.lease.close(detail).catch(() => undefined)
  }
}
