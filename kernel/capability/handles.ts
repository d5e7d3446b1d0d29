import { refuse } from './errors.ts'
import { MAX_HANDLE_NUMBER, MAX_HANDLES, MAX_SESSION_HANDLES } from './limits.ts'
import type { VerifiedToken } from './verified-token.ts'

/** Handles by session. A number is given once in a run and found only by the session it was given to: another's is nobody's. */
export class HandleTable {
  readonly #sessions = new Map<string, Map<number, VerifiedToken>>()
  #next = 1
  #total = 0

  /** Throws E_RATE_LIMIT when the session or the run holds too many. */
  assertRoom(session: string): void {
    const held = this.#sessions.get(session)?.size ?? 0
    if (held >= MAX_SESSION_HANDLES)
      throw refuse(
        'E_RATE_LIMIT',
        `the session holds ${MAX_SESSION_HANDLES} handles already`,
        'Release handles that are not used any more.',
      )
    if (this.#total >= MAX_HANDLES || this.#next > MAX_HANDLE_NUMBER)
      throw refuse('E_RATE_LIMIT', 'the run holds too many capability handles', 'Release handles that are not used any more.')
  }

  /** After `assertRoom`. */
  add(session: string, token: VerifiedToken): number {
    const held = this.#sessions.get(session)
    const handles = held ?? new Map<number, VerifiedToken>()
    if (held === undefined) this.#sessions.set(session, handles)
    const number = this.#next++
    handles.set(number, token)
    this.#total += 1
    return number
  }

  find(session: string, number: number): VerifiedToken | undefined {
    return this.#sessions.get(session)?.get(number)
  }

  remove(session: string, number: number): VerifiedToken | undefined {
    const handles = this.#sessions.get(session)
    const token = handles?.get(number)
    if (handles === undefined || token === undefined) return undefined
    handles.delete(number)
    this.#total -= 1
    return token
  }

  removeSession(session: string): readonly VerifiedToken[] {
    const handles = this.#sessions.get(session)
    if (handles === undefined) return []
    this.#sessions.delete(session)
    this.#total -= handles.size
    return [...handles.values()]
  }

  *all(): Iterable<VerifiedToken> {
    for (const handles of this.#sessions.values()) yield* handles.values()
  }
}
