import { AuthorityError } from '@authority/protocol'
import { MAX_OPEN_QUESTIONS } from './limits.ts'
import type { OpenQuestion, OpenVerdict } from './types.ts'

const DENIED: OpenVerdict = { allow: false, cacheable: false }

/** Opens of image files the guest waits for: bounded, each answered once, denied when the decision fails. */
export class OpenQuestions {
  readonly #decide: (question: OpenQuestion) => OpenVerdict | Promise<OpenVerdict>
  readonly #answer: (id: number, verdict: OpenVerdict) => void
  readonly #waiting = new Set<number>()

  constructor(decide: (question: OpenQuestion) => OpenVerdict | Promise<OpenVerdict>, answer: (id: number, verdict: OpenVerdict) => void) {
    this.#decide = decide
    this.#answer = answer
  }

  /** Throws E_PROTOCOL for an id that is still waiting, or when too many are. */
  ask(id: number, question: OpenQuestion): void {
    if (this.#waiting.has(id)) throw new AuthorityError('E_PROTOCOL', `the guest asked open question ${id} twice`)
    if (this.#waiting.size >= MAX_OPEN_QUESTIONS) throw new AuthorityError('E_PROTOCOL', 'the guest asks more open questions than it may')
    this.#waiting.add(id)
    void this.#settle(id, question)
  }

  async #settle(id: number, question: OpenQuestion): Promise<void> {
    let verdict = DENIED
    try {
      const decided = this.#decide(question)
      verdict = decided instanceof Promise ? await decided : decided
    } catch {
      verdict = DENIED
    }
    this.#waiting.delete(id)
    // One name of a file with several says nothing about the others: never cached, whatever the decision was.
    this.#answer(id, { allow: verdict.allow, cacheable: verdict.allow && verdict.cacheable && question.nlink === 1 })
  }
}
