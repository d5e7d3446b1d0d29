import { MAX_TOKEN_MARKS } from './limits.ts'
import type { AccountName, Mark, NumberedMark } from './types.ts'

/** The soft marks told so far, for whoever asks and for whoever waits. Those of the run and of its classes are few and stay; of tokens' blocks, whose number is the agent's choice, the last ones do. */
export class MarkBook {
  readonly #standing: NumberedMark[] = []
  readonly #ofTokens: NumberedMark[] = []
  #waiting: (() => void)[] = []
  #last = 0

  add(mark: Mark): void {
    const marks = mark.account.startsWith('block:') ? this.#ofTokens : this.#standing
    marks.push({ ...mark, number: ++this.#last })
    if (this.#ofTokens.length > MAX_TOKEN_MARKS) this.#ofTokens.shift()
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }

  /** Number of the last one. */
  get last(): number {
    return this.#last
  }

  /** Those of some accounts beyond a number, oldest first. */
  after(number: number, accounts: readonly AccountName[]): readonly NumberedMark[] {
    const wanted = new Set(accounts)
    return [...newer(this.#standing, number), ...newer(this.#ofTokens, number)]
      .filter(({ account }) => wanted.has(account))
      .sort((a, b) => a.number - b.number)
  }

  /** Resolves when the next mark of any account is told. Rejects with the signal's reason. */
  next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const wake = (): void => {
        signal.removeEventListener('abort', stop)
        resolve()
      }
      const stop = (): void => {
        this.#waiting = this.#waiting.filter((waiting) => waiting !== wake)
        reject(signal.reason)
      }
      if (signal.aborted) return reject(signal.reason)
      signal.addEventListener('abort', stop, { once: true })
      this.#waiting.push(wake)
    })
  }
}

function newer(marks: readonly NumberedMark[], number: number): readonly NumberedMark[] {
  let from = marks.length
  while (from > 0 && (marks[from - 1]?.number ?? 0) > number) from -= 1
  return marks.slice(from)
}
