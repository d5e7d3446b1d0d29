import { AuthorityError } from '@authority/protocol'
import { WHO_DEADLINE_MS } from './limits.ts'
import type { GuestClock } from './types.ts'

interface Asked<T> {
  readonly pid: number
  answer(said: T | null): void
}

/** One kind of question about processes of the guest: what init answers is a claim. Answers come in the order of the questions. */
export class Asking<T> {
  readonly #name: string
  readonly #clock: GuestClock
  readonly #send: (pid: number) => void
  readonly #asked: Asked<T>[] = []

  /** `name`: the question, for the error about an answer to none. */
  constructor(name: string, clock: GuestClock, send: (pid: number) => void) {
    this.#name = name
    this.#clock = clock
    this.#send = send
  }

  /** null when the guest is silent. */
  ask(pid: number): Promise<T | null> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(WHO_DEADLINE_MS, () => resolve(null))
      this.#asked.push({
        pid,
        answer: (said) => {
          cancel()
          resolve(said)
        },
      })
      this.#send(pid)
    })
  }

  answered(pid: number, said: T): void {
    const first = this.#asked.shift()
    if (first?.pid !== pid) throw new AuthorityError('E_PROTOCOL', `the guest answered a ${this.#name} that was not sent`)
    first.answer(said)
  }

  end(): void {
    for (const { answer } of this.#asked.splice(0)) answer(null)
  }
}
