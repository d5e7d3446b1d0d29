import type { AuthorityError } from '@authority/protocol'

/** What ends a request early. A signal is made of it when somebody listens: most effects never do, and one costs more than their whole decision. */
export class RequestAbort {
  private error: AuthorityError | null = null
  private controller: AbortController | null = null

  get aborted(): boolean {
    return this.error !== null
  }

  get reason(): AuthorityError | null {
    return this.error
  }

  get signal(): AbortSignal {
    if (this.controller === null) {
      this.controller = new AbortController()
      if (this.error !== null) this.controller.abort(this.error)
    }
    return this.controller.signal
  }

  /** The first reason stays. */
  abort(reason: AuthorityError): void {
    if (this.error !== null) return
    this.error = reason
    this.controller?.abort(reason)
  }
}

export type Abortable = AbortSignal | RequestAbort

export function signalOf(abortable: Abortable): AbortSignal {
  return abortable instanceof RequestAbort ? abortable.signal : abortable
}
