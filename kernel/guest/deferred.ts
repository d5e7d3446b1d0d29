/** A promise settled from outside, at most once. Nobody has to await it: a rejection is never reported as unhandled. */
export class Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void

  constructor() {
    let resolve: (value: T) => void = () => undefined
    let reject: (error: Error) => void = () => undefined
    this.promise = new Promise((yes, no) => {
      resolve = yes
      reject = no
    })
    this.promise.catch(() => undefined)
    this.resolve = resolve
    this.reject = reject
  }
}
