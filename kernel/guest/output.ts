import { AuthorityError, INITIAL_STDOUT_CREDIT } from '@authority/protocol'
import { CREDIT_STEP_BYTES } from './limits.ts'

/** One output stream of the agent: bytes are handed on in order, and credit returns as they are taken. Memory: at most the credit given. */
export class OutputMeter {
  readonly #fd: 1 | 2
  readonly #take: (data: Uint8Array) => void | Promise<void>
  readonly #giveCredit: (bytes: number) => void
  readonly #broken: (error: unknown) => void
  #credit = INITIAL_STDOUT_CREDIT
  #taken = 0
  #ended = false
  #last: Promise<void> = Promise.resolve()

  constructor(
    fd: 1 | 2,
    take: (data: Uint8Array) => void | Promise<void>,
    giveCredit: (bytes: number) => void,
    broken: (error: unknown) => void,
  ) {
    this.#fd = fd
    this.#take = take
    this.#giveCredit = giveCredit
    this.#broken = broken
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Settles when everything received so far was taken. */
  get drained(): Promise<void> {
    return this.#last
  }

  /** Throws E_PROTOCOL for bytes beyond the credit or after the end. */
  receive(data: Uint8Array): void {
    if (this.#ended) throw new AuthorityError('E_PROTOCOL', `the guest sent output ${this.#fd} after its end`)
    if (data.length > this.#credit) throw new AuthorityError('E_PROTOCOL', `the guest sent more of output ${this.#fd} than its credit`)
    this.#credit -= data.length
    this.#last = this.#last.then(() => this.#take(data)).then(() => this.#took(data.length), this.#broken)
  }

  /** Throws E_PROTOCOL for a second end. */
  end(): void {
    if (this.#ended) throw new AuthorityError('E_PROTOCOL', `the guest ended output ${this.#fd} twice`)
    this.#ended = true
  }

  #took(bytes: number): void {
    this.#taken += bytes
    if (this.#taken < CREDIT_STEP_BYTES || this.#ended) return
    this.#credit += this.#taken
    this.#giveCredit(this.#taken)
    this.#taken = 0
  }
}
