import { AuthorityError, type GuestFile, MAX_LOOK_AGAIN } from '@authority/protocol'
import { LOOK_AGAIN_DEADLINE_MS } from './limits.ts'
import type { GuestClock } from './types.ts'

interface Wanted {
  readonly file: GuestFile
  done(): void
}

/**
 * Host files the guest's kernel is to look at again: named to init many at a time, one message after the other. That it did is a claim; where it does not say so,
 * programs could go on with what is old, so the run ends.
 */
export class LookingAgain {
  readonly #clock: GuestClock
  readonly #send: (files: readonly GuestFile[]) => void
  readonly #fail: (error: AuthorityError) => void
  readonly #waiting: Wanted[] = []
  #asked: readonly Wanted[] | null = null
  #cancel: () => void = () => undefined

  constructor(clock: GuestClock, send: (files: readonly GuestFile[]) => void, fail: (error: AuthorityError) => void) {
    this.#clock = clock
    this.#send = send
    this.#fail = fail
  }

  /** Resolves when the guest has looked, or is over. */
  ask(file: GuestFile): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ file, done: resolve })
      // What changes in one turn goes in one message.
      if (this.#waiting.length === 1) queueMicrotask(() => this.#next())
    })
  }

  answered(): void {
    const asked = this.#asked
    if (asked === null) throw new AuthorityError('E_PROTOCOL', 'the guest looked again without being asked')
    this.#cancel()
    this.#asked = null
    for (const { done } of asked) done()
    this.#next()
  }

  end(): void {
    this.#cancel()
    for (const { done } of [...(this.#asked ?? []), ...this.#waiting.splice(0)]) done()
    this.#asked = null
  }

  #next(): void {
    if (this.#asked !== null || this.#waiting.length === 0) return
    this.#asked = this.#waiting.splice(0, MAX_LOOK_AGAIN)
    this.#cancel = this.#clock.after(LOOK_AGAIN_DEADLINE_MS, () =>
      this.#fail(
        new AuthorityError(
          'E_TIMEOUT',
          `the guest did not look again at what changed on the host within ${LOOK_AGAIN_DEADLINE_MS / 1000} s`,
          {
            hint: 'is the machine overloaded?',
          },
        ),
      ),
    )
    this.#send(this.#asked.map(({ file }) => file))
  }
}
