/** A byte pipe to a guest port or a unix socket, whoever is at the other end. */
export interface Transport {
  /** Queues bytes; never blocks. The writer watches `queued` and stops producing above its bound. */
  write(bytes: Uint8Array): void
  /** Bytes queued and not yet taken by the other end. */
  readonly queued: number
  /** Called when `queued` fell to 0. */
  onDrain: (() => void) | null
  /** Called with each chunk as it arrives; the chunk may be kept. */
  onData: ((chunk: Uint8Array) => void) | null
  /** Called once, when the other end is gone or after `close`. */
  onClose: (() => void) | null
  /** Stops or restarts delivery: back-pressure towards the other end. */
  pause(): void
  resume(): void
  close(): void
}
