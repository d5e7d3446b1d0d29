import type { Transport } from '@authority/kernel/gate'
import type { Socket } from 'bun'

/** Bytes of small messages that leave in one system call: answers of one group commit come together. */
const GATHER_BYTES = 64 * 1024

/**
 * Adapter: one connected Bun socket as a Transport. Bun's write takes what fits and answers how much: the rest is queued here and goes on with `drain`.
 * What arrives before somebody listens is kept, so no early message of the guest is lost; the socket is paused until then.
 */
export class BunTransport implements Transport {
  onDrain: (() => void) | null = null
  private listener: ((chunk: Uint8Array) => void) | null = null
  private closeListener: (() => void) | null = null
  private readonly socket: Socket<BunTransport>
  private readonly pending: Uint8Array[] = []
  private readonly early: Uint8Array[] = []
  private pendingBytes = 0
  /** True while the user asked for silence. */
  private paused = false
  private closed = false
  private gathered: Uint8Array | null = null
  private gatheredBytes = 0

  constructor(socket: Socket<BunTransport>) {
    this.socket = socket
    socket.data = this
    socket.pause()
  }

  get queued(): number {
    return this.pendingBytes
  }

  get onData(): ((chunk: Uint8Array) => void) | null {
    return this.listener
  }
  set onData(listener: ((chunk: Uint8Array) => void) | null) {
    this.listener = listener
    this.flow()
  }

  get onClose(): (() => void) | null {
    return this.closeListener
  }
  /** Called once even when the end came before the listener. */
  set onClose(listener: (() => void) | null) {
    this.closeListener = listener
    if (this.closed && listener !== null) queueMicrotask(() => this.tellClosed())
  }

  write(bytes: Uint8Array): void {
    if (this.closed || bytes.length === 0) return
    if (this.gatheredBytes + bytes.length > GATHER_BYTES) this.passGathered()
    if (this.pendingBytes > 0) return this.queue(bytes)
    if (bytes.length > GATHER_BYTES) return this.pass(bytes)
    if (this.gatheredBytes === 0) queueMicrotask(() => this.passGathered())
    this.gathered ??= new Uint8Array(GATHER_BYTES)
    this.gathered.set(bytes, this.gatheredBytes)
    this.gatheredBytes += bytes.length
  }

  private passGathered(): void {
    if (this.gatheredBytes === 0 || this.closed || this.gathered === null) return
    const bytes = this.gathered.subarray(0, this.gatheredBytes)
    this.gatheredBytes = 0
    this.pass(bytes)
  }

  private pass(bytes: Uint8Array): void {
    const taken = Math.max(0, this.socket.write(bytes))
    if (taken < bytes.length) this.queue(bytes.subarray(taken))
  }

  pause(): void {
    this.paused = true
    if (!this.closed) this.socket.pause()
  }

  resume(): void {
    this.paused = false
    this.flow()
  }

  close(): void {
    if (this.closed) return
    this.passGathered()
    // What is queued will not be waited for: the other end is a machine being taken away.
    this.socket.end()
    this.ended()
  }

  /** The socket has room again. */
  drained(): void {
    while (this.pending.length > 0 && !this.closed) {
      const head = this.pending[0]
      if (head === undefined) break
      const taken = Math.max(0, this.socket.write(head))
      this.pendingBytes -= taken
      if (taken < head.length) {
        this.pending[0] = head.subarray(taken)
        return
      }
      this.pending.shift()
    }
    if (!this.closed) this.onDrain?.()
  }

  /** Bytes came. */
  received(chunk: Uint8Array): void {
    if (this.listener !== null && !this.paused && this.early.length === 0) this.listener(chunk)
    else this.early.push(chunk)
  }

  /** The other end is gone. */
  ended(): void {
    if (this.closed) return
    this.closed = true
    this.pending.length = 0
    this.pendingBytes = 0
    this.flow()
    this.tellClosed()
  }

  private queue(bytes: Uint8Array): void {
    // The caller may reuse its buffer.
    this.pending.push(bytes.slice())
    this.pendingBytes += bytes.length
  }

  private flow(): void {
    while (this.listener !== null && !this.paused) {
      const chunk = this.early.shift()
      if (chunk === undefined) break
      this.listener(chunk)
    }
    if (this.listener !== null && !this.paused && !this.closed) this.socket.resume()
  }

  private tellClosed(): void {
    const listener = this.closeListener
    this.closeListener = null
    listener?.()
  }
}
