import { AuthorityError } from '@authority/protocol'
import { GUEST_SILENCE_MS, PING_MS } from './limits.ts'
import type { GuestClock } from './types.ts'

/** Asks the guest each second whether it lives, and notices when it does not answer. */
export class Heartbeat {
  readonly #clock: GuestClock
  readonly #send: (n: number) => void
  readonly #fail: (error: AuthorityError) => void
  #cancel: (() => void) | null = null
  #pinged = 0
  #ponged = 0
  #heard = 0
  #stopped = false

  constructor(clock: GuestClock, send: (n: number) => void, fail: (error: AuthorityError) => void) {
    this.#clock = clock
    this.#send = send
    this.#fail = fail
  }

  start(): void {
    this.#heard = this.#clock.now()
    this.#ping()
  }

  /** Throws E_PROTOCOL for an answer to nothing. */
  answered(n: number): void {
    if (n <= this.#ponged || n > this.#pinged) throw new AuthorityError('E_PROTOCOL', 'the guest answered a PING that was not sent')
    this.#ponged = n
    this.#heard = this.#clock.now()
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
  }

  #ping(): void {
    // Sending may have found out that the guest does not read, which ends everything.
    if (this.#stopped) return
    this.#cancel = this.#clock.after(PING_MS, () => {
      if (this.#clock.now() - this.#heard > GUEST_SILENCE_MS)
        return this.#fail(new AuthorityError('E_TIMEOUT', 'the guest hangs: no answer to PING'))
      this.#pinged++
      this.#send(this.#pinged)
      this.#ping()
    })
  }
}
