import { AuthorityError, MAX_DEADLINE_MS } from '@authority/protocol'
import { invalid } from './errors.ts'

/** How long one call may take, and what can end it sooner. */
export interface CallOptions {
  /** ms, 1 to 600,000; what happened until then has happened. Default: the client's. */
  readonly timeoutMs?: number | undefined
  /** Cancels the call: it fails with E_CANCELLED, the signal's reason as its cause. */
  readonly signal?: AbortSignal | undefined
}

/** A moment, on the monotonic clock, and the signal that may come before it. */
export interface Limit {
  readonly at: number
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
}

/** Throws E_CONFLICT for a time out of range and E_CANCELLED when the signal has come already. */
export function limitOf(options: CallOptions | undefined, defaultMs: number): Limit {
  const timeoutMs = options?.timeoutMs ?? defaultMs
  if (!(timeoutMs >= 1 && timeoutMs <= MAX_DEADLINE_MS)) throw invalid(`timeoutMs must be from 1 to ${MAX_DEADLINE_MS}, not ${timeoutMs}`)
  const signal = options?.signal
  if (signal?.aborted) throw cancelled(signal)
  return { at: performance.now() + timeoutMs, timeoutMs, signal }
}

/** Calls `onLimit` once, when time is up (plus `graceMs`) or the signal came; returns what takes it back. */
export function watch(limit: Limit, what: string, onLimit: (error: AuthorityError) => void, graceMs = 0): () => void {
  const stop = (error: AuthorityError): void => {
    unwatch()
    onLimit(error)
  }
  const onAbort = (): void => stop(cancelled(limit.signal))
  const timer = setTimeout(() => stop(timedOut(limit, what)), Math.max(0, limit.at - performance.now()) + graceMs)
  limit.signal?.addEventListener('abort', onAbort, { once: true })
  const unwatch = (): void => {
    clearTimeout(timer)
    limit.signal?.removeEventListener('abort', onAbort)
  }
  return unwatch
}

/** Wakes whoever waits for something to change. Each wait has a deadline. */
export class Changes {
  readonly #waiting = new Set<() => void>()

  wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  /** Resolves at the next `wake`. Rejects with E_TIMEOUT or E_CANCELLED. */
  wait(limit: Limit, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const unwatch = watch(limit, what, (error) => {
        this.#waiting.delete(wake)
        reject(error)
      })
      const wake = (): void => {
        this.#waiting.delete(wake)
        unwatch()
        resolve()
      }
      this.#waiting.add(wake)
    })
  }
}

function timedOut(limit: Limit, what: string): AuthorityError {
  return new AuthorityError('E_TIMEOUT', `${what}: nothing came within ${limit.timeoutMs} ms`)
}

function cancelled(signal: AbortSignal | undefined): AuthorityError {
  return new AuthorityError('E_CANCELLED', 'the call was cancelled', { cause: signal?.reason })
}
