import { AuthorityError, MAX_STDIO_BYTES } from '@authority/protocol'
import { MAX_STDIN_CREDIT } from './limits.ts'

interface Pending {
  readonly data: Uint8Array
  at: number
  readonly done: (taken: boolean) => void
}

/** The agent's stdin: bytes leave as the guest gives credit. Holds what one caller waits for, no more. */
export class InputPump {
  readonly #send: (data: Uint8Array) => void
  readonly #sendEnd: () => void
  readonly #pending: Pending[] = []
  #credit = 0
  #ending = false
  #closed = false

  constructor(send: (data: Uint8Array) => void, sendEnd: () => void) {
    this.#send = send
    this.#sendEnd = sendEnd
  }

  /** Resolves true when all bytes were sent, false when the agent is gone before. The caller waits before it writes more: that is the back-pressure. */
  write(data: Uint8Array): Promise<boolean> {
    if (this.#closed || this.#ending) return Promise.resolve(false)
    return new Promise((done) => {
      this.#pending.push({ data, at: 0, done })
      this.#flush()
    })
  }

  end(): void {
    if (this.#closed || this.#ending) return
    this.#ending = true
    this.#flush()
  }

  /** Throws E_PROTOCOL when the guest gives out more than it may. */
  credit(bytes: number): void {
    if (bytes > MAX_STDIN_CREDIT - this.#credit)
      throw new AuthorityError('E_PROTOCOL', 'the guest gives out more stdin credit than allowed')
    this.#credit += bytes
    this.#flush()
  }

  /** Nothing is sent any more; whoever waits is told. */
  close(): void {
    this.#closed = true
    for (const pending of this.#pending.splice(0)) pending.done(false)
  }

  #flush(): void {
    while (!this.#closed) {
      const [first] = this.#pending
      if (first === undefined) break
      if (first.at < first.data.length) {
        if (this.#credit === 0) return
        const size = Math.min(MAX_STDIO_BYTES, this.#credit, first.data.length - first.at)
        this.#credit -= size
        this.#send(first.data.subarray(first.at, first.at + size))
        first.at += size
        continue
      }
      this.#pending.shift()
      first.done(true)
    }
    if (this.#ending && !this.#closed && this.#pending.length === 0) {
      this.#closed = true
      this.#sendEnd()
    }
  }
}
