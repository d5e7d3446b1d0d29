import { INTAKE_SLICE_BYTES, MAX_UNREAD_BYTES } from './limits.ts'
import type { Transport } from './transport.ts'

/**
 * Takes a peer's bytes at the pace it takes its answers. A few bytes can ask for many: a chunk is worked off in slices, and no further one while more than
 * MAX_UNREAD_BYTES wait to be read. So a peer that asks and never reads costs that bound and what one slice of requests answers.
 */
export class Intake {
  private readonly transport: Transport
  private readonly take: (slice: Uint8Array) => void
  private readonly onRoom: () => void
  /** What arrived and was not looked at: chunks that were under way when the transport was paused. */
  private waiting: Uint8Array[] = []
  private scheduled = false
  private over = false

  /** `take` must not throw; `onRoom` is called when the peer has read everything. */
  constructor(transport: Transport, take: (slice: Uint8Array) => void, onRoom: () => void = () => undefined) {
    this.transport = transport
    this.take = take
    this.onRoom = onRoom
  }

  /** From here on `take` is called, also with what arrived before. */
  start(): void {
    this.transport.onDrain = () => this.drained()
    this.transport.onData = (chunk) => this.arrived(chunk)
  }

  /** Whether the peer reads what it is sent. */
  get room(): boolean {
    return this.transport.queued <= MAX_UNREAD_BYTES
  }

  stop(): void {
    this.over = true
    this.waiting = []
  }

  private arrived(chunk: Uint8Array): void {
    if (this.over) return
    // Nearly every chunk: nothing waits before it, and it is one slice.
    if (this.waiting.length === 0 && !this.scheduled && chunk.length <= INTAKE_SLICE_BYTES && this.room) return this.takeWhole(chunk)
    this.waiting.push(chunk)
    if (this.waiting.length === 1 && !this.scheduled) this.work()
  }

  private takeWhole(chunk: Uint8Array): void {
    this.take(chunk)
    if (!this.over && !this.room) this.transport.pause()
  }

  private work(): void {
    const chunk = this.waiting[0]
    if (chunk === undefined || this.over) return
    if (!this.room) return this.transport.pause()
    this.take(chunk.subarray(0, INTAKE_SLICE_BYTES))
    if (this.over) return
    const rest = chunk.subarray(INTAKE_SLICE_BYTES)
    if (rest.length > 0) this.waiting[0] = rest
    else this.waiting.shift()
    if (this.waiting.length === 0) return this.room ? undefined : this.transport.pause()
    this.transport.pause()
    this.later()
  }

  /** After the answers that need not wait for anything were queued. */
  private later(): void {
    if (this.scheduled) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      this.work()
      this.goOn()
    })
  }

  private drained(): void {
    if (this.over) return
    this.onRoom()
    if (this.waiting.length > 0) this.later()
    else this.goOn()
  }

  private goOn(): void {
    if (!this.over && this.waiting.length === 0 && this.room) this.transport.resume()
  }
}
