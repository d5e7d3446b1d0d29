/**
 * flock(2) and POSIX locks of one mount, held on the host, so that other runs and programs of the host see them. A flock is the open file's own descriptor's. A POSIX
 * lock is its owner's: every owner gets an open file description of its own, on which the host keeps an open-file-description lock. The gate only ever tries;
 * whoever waits is asked for again, at once when something is let go here, and in growing steps because another process of the host tells nobody.
 */
import { AuthorityError } from '@authority/protocol'
import { hostError } from '../errno.ts'
import { LOCK_STEP_MS, MAX_LOCK_OWNERS, MAX_LOCK_RANGES, MAX_LOCK_STEP_MS, MAX_LOCK_WAITERS } from '../limits.ts'
import type { Sys, Syscalls } from '../syscalls.ts'
import type { OpenFile } from './handles.ts'
import type { Node } from './nodes.ts'
import { conflicts, type Locked, type LockKind, lockedAfter, type Range } from './ranges.ts'

export interface LockRequest extends Range {
  readonly open: OpenFile
  readonly owner: bigint
  readonly pid: number
  /** null lets go. */
  readonly kind: LockKind | null
  readonly flock: boolean
}
/** What keeps a lock from being had. `pid` is 0 for one from outside the VM. */
export interface Conflict extends Locked {
  readonly pid: number
}

interface Owner {
  readonly fd: number
  readonly node: Node
  readonly pid: number
  /** The open files it locked through. */
  readonly through: Set<OpenFile>
  locked: readonly Locked[]
}

export class Locks {
  readonly #sys: Syscalls
  readonly #owners = new Map<string, Owner>()
  /** Who waits for a change here; each wakes once. */
  readonly #waiting = new Set<() => void>()
  #ranges = 0
  #closed = false

  constructor(sys: Syscalls) {
    this.#sys = sys
  }

  get owners(): number {
    return this.#owners.size
  }

  /** Takes or lets go at once. Throws EAGAIN when another holds it, ENOLCK beyond a bound. */
  set(request: LockRequest): void {
    const done = this.#attempt(request)
    if (!done.ok) throw hostError(done.errno, request.open.file.text)
  }

  /** As `set`, and waits while another holds it, until `signal` ends that. The gate's thread is never kept. */
  async wait(request: LockRequest, signal: () => AbortSignal): Promise<void> {
    let done = this.#attempt(request)
    for (let step = LOCK_STEP_MS; !done.ok && done.errno === 'EAGAIN'; step = Math.min(2 * step, MAX_LOCK_STEP_MS)) {
      if (this.#waiting.size >= MAX_LOCK_WAITERS) throw hostError('ENOLCK', request.open.file.text, 'Too many programs wait for locks.')
      await this.#change(step, signal())
      if (signal().aborted) throw new AuthorityError('E_CANCELLED', `${request.open.file.text}: not locked`, { errno: 'EINTR' })
      done = this.#attempt(request)
    }
    if (!done.ok) throw hostError(done.errno, request.open.file.text)
  }

  /** What would keep this owner from locking, or null. */
  conflict(request: LockRequest & { readonly kind: LockKind }): Conflict | null {
    const { open, owner, kind } = request
    const own = this.#owners.get(keyOf(open.node, owner))
    const fd = own === undefined ? open.file.another() : own.fd
    const found = this.#sys.conflictingRange(fd, kind, request)
    if (own === undefined) this.#sys.close(fd)
    if (!found.ok) throw hostError(found.errno, open.file.text)
    if (found.value === null) return null
    const other = [...this.#owners.values()].find((one) => one !== own && one.node === open.node && conflicts(one.locked, request, kind))
    return { ...found.value, pid: other?.pid ?? 0 }
  }

  /** Closing any descriptor of a file lets go of what this owner has locked of it. */
  letGo(node: Node, owner: bigint): void {
    const key = keyOf(node, owner)
    const found = this.#owners.get(key)
    if (found === undefined) return
    this.#owners.delete(key)
    this.#ranges -= found.locked.length
    this.#sys.close(found.fd)
    this.wake()
  }

  /** The last descriptor of an open file is gone. The guest says nothing at close(2) of one that was only read: what was locked through it alone goes now. */
  released(open: OpenFile): void {
    for (const [key, { node, through }] of this.#owners)
      if (through.delete(open) && through.size === 0) this.letGo(node, BigInt(key.slice(key.indexOf(':') + 1)))
  }

  /** Something was let go: whoever waits tries again. */
  wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  close(): void {
    this.#closed = true
    for (const { fd } of this.#owners.values()) this.#sys.close(fd)
    this.#owners.clear()
    this.wake()
  }

  #attempt(request: LockRequest): Sys<number> {
    if (this.#closed) return { ok: false, errno: 'ESTALE' }
    const done = request.flock ? request.open.file.lock(request.kind) : this.#attemptRange(request)
    if (done.ok && request.kind !== 'exclusive') this.wake()
    return done
  }

  #attemptRange(request: LockRequest): Sys<number> {
    const { open, owner, kind } = request
    const key = keyOf(open.node, owner)
    const known = this.#owners.get(key)
    if (known === undefined && kind === null) return { ok: true, value: 0 }
    if (known === undefined && this.#owners.size >= MAX_LOCK_OWNERS) return { ok: false, errno: 'ENOLCK' }
    const after = lockedAfter(known?.locked ?? [], request, kind)
    const more = after.length - (known?.locked.length ?? 0)
    // Letting go may split a range: refused too, or one lock after the other would fill the host's memory.
    if (more > 0 && this.#ranges + more > MAX_LOCK_RANGES) return { ok: false, errno: 'ENOLCK' }
    const holder = known ?? { fd: open.file.another(), node: open.node, pid: request.pid, through: new Set(), locked: [] }
    const done = this.#sys.lockRange(holder.fd, kind, request)
    if (!done.ok) {
      if (known === undefined) this.#sys.close(holder.fd)
      return done
    }
    this.#ranges += more
    holder.locked = after
    holder.through.add(open)
    if (known === undefined) this.#owners.set(key, holder)
    return done
  }

  /** Resolves after `ms`, at the next change here, or when it is given up. */
  #change(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.#waiting.add(done)
      signal.addEventListener('abort', done)
      if (signal.aborted) done()
    })
  }
}

const keyOf = (node: Node, owner: bigint): string => `${node.id}:${owner}`
