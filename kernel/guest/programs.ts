import { AuthorityError } from '@authority/protocol'
import { WHO_DEADLINE_MS } from './limits.ts'
import type { GuestClock } from './types.ts'

interface Asked {
  readonly pid: number
  answer(exe: string | null): void
}

/** Which program a process of the guest is, as init claims. Answers come in the order of the questions. */
export class Programs {
  readonly #clock: GuestClock
  readonly #send: (pid: number) => void
  readonly #asked: Asked[] = []

  constructor(clock: GuestClock, send: (pid: number) => void) {
    this.#clock = clock
    this.#send = send
  }

  /** Empty when there is no such process; null when the guest is silent. */
  ask(pid: number): Promise<string | null> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(WHO_DEADLINE_MS, () => resolve(null))
      this.#asked.push({
        pid,
        answer: (exe) => {
          cancel()
          resolve(exe)
        },
      })
      this.#send(pid)
    })
  }

  answered(pid: number, exe: string): void {
    const first = this.#asked.shift()
    if (first?.pid !== pid) throw new AuthorityError('E_PROTOCOL', 'the guest answered a WHO that was not sent')
    first.answer(exe)
  }

  end(): void {
    for (const { answer } of this.#asked.splice(0)) answer(null)
  }
}
