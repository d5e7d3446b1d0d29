import { INTERRUPTION_STEP_MS, MAX_INTERRUPTION_QUESTIONS } from '../limits.ts'

/** Whether a signal waits for a process of the guest, as it claims; null: it does not say. */
export type Signalled = (pid: number) => Promise<boolean | null>

interface Waiting {
  readonly pid: number
  interrupt(): void
}

/**
 * A virtio-fs device does not tell that a waiting request was interrupted, and its process cannot even be killed before the answer. So whoever waits long for a lock
 * or for a person's approval is asked after, in steps, and interrupted when a signal waits for it.
 */
export class Interruptions {
  readonly #signalled: Signalled
  readonly #waiting = new Set<Waiting>()
  /** Those that waited at the last look already: most are answered before a second one. */
  #longer: ReadonlySet<Waiting> = new Set()
  #timer: ReturnType<typeof setTimeout> | null = null

  constructor(signalled: Signalled) {
    this.#signalled = signalled
  }

  /** Watches until the answer is called. */
  watch(waiting: Waiting): () => void {
    this.#waiting.add(waiting)
    this.#plan()
    return () => this.#waiting.delete(waiting)
  }

  close(): void {
    this.#waiting.clear()
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #plan(): void {
    this.#timer ??= setTimeout(() => void this.#look(), INTERRUPTION_STEP_MS)
  }

  /** Each process once, however many requests it has. Those asked after go to the end, so that the bound leaves nobody out for ever. */
  async #look(): Promise<void> {
    const now = [...this.#waiting].filter((one) => this.#longer.has(one)).slice(0, MAX_INTERRUPTION_QUESTIONS)
    this.#longer = new Set(this.#waiting)
    for (const one of now) if (this.#waiting.delete(one)) this.#waiting.add(one)
    const answers = new Map<number, Promise<boolean | null>>()
    for (const { pid } of now) if (!answers.has(pid)) answers.set(pid, this.#signalled(pid))
    for (const one of now) if ((await answers.get(one.pid)) === true && this.#waiting.has(one)) one.interrupt()
    this.#timer = null
    if (this.#waiting.size > 0) this.#plan()
  }
}
