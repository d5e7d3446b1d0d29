import { hostError } from '../errno.ts'
import type { FileHandle } from '../handle.ts'
import type { Node } from './nodes.ts'

export interface OpenFile {
  readonly kind: 'file'
  readonly node: Node
  readonly file: FileHandle
}
export interface OpenDirectory {
  readonly kind: 'directory'
  readonly node: Node
  readonly fd: number
}
type Open = OpenFile | OpenDirectory

/** What the guest has open on one mount. Bounded; numbers are never given out twice. */
export class Handles {
  readonly #open = new Map<number, Open>()
  readonly #limit: number
  #next = 1
  #closed = false

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#open.size
  }

  /** Throws ENFILE when the mount has too many. */
  add(open: Open): number {
    // What was admitted before the guest unmounted must not stay open after it.
    if (this.#closed) throw hostError('ESTALE', 'mount')
    if (this.#open.size >= this.#limit) throw hostError('ENFILE', 'mount', 'Close some files first.')
    this.#open.set(this.#next, open)
    return this.#next++
  }

  /** Throws EBADF for a number that was never given out, or for something else. */
  file(number: number): OpenFile {
    const found = this.#open.get(number)
    if (found?.kind !== 'file') throw hostError('EBADF', `handle ${number}`)
    return found
  }

  directory(number: number): OpenDirectory {
    const found = this.#open.get(number)
    if (found?.kind !== 'directory') throw hostError('EBADF', `handle ${number}`)
    return found
  }

  remove(number: number): void {
    this.#open.delete(number)
  }

  /** Everything open; nothing can be added any more. */
  drain(): Open[] {
    this.#closed = true
    const all = [...this.#open.values()]
    this.#open.clear()
    return all
  }
}
