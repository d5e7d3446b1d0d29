import { createHash, type Hash } from 'node:crypto'
import { AuthorityError } from '@authority/protocol'
import type { Json } from '../../vocabulary/index.ts'
import type { ByteLease, HeldThing } from '../contract.ts'
import { hostError } from './errno.ts'
import { FALLOC, MAX_OFFSET } from './limits.ts'
import { O, type Stat, type Sys, type Syscalls } from './syscalls.ts'

/** An offset no byte has: the digest of that direction is given up. */
const OUT_OF_ORDER = -1
const SEEK_DATA = 3
const SEEK_HOLE = 4

export interface OpenedFile {
  readonly sys: Syscalls
  readonly fd: number
  /** As the agent named it, for messages. */
  readonly text: string
  readonly reads: boolean
  readonly writes: boolean
  readonly append: boolean
  /** O_SYNC or O_DSYNC: a write returns when the host has it on stable storage. */
  readonly sync: boolean
  readonly lease: ByteLease
}

/** Running total of one direction, with the SHA-256 of its bytes as long as they came in order from offset 0. */
class Totals {
  bytes = 0
  #hash: Hash | null = createHash('sha256')
  #next = 0
  /** Counted and not hashed yet: one request's bytes at most. */
  #late: Uint8Array | null = null

  add(data: Uint8Array, offset: number | null): void {
    if (this.#count(data, offset)) this.#hash?.update(data)
  }

  /** As `add`, hashed in the next turn of the loop, while the guest has its answer already: of `data` that nobody changes any more. */
  addLate(data: Uint8Array, offset: number | null): void {
    if (!this.#count(data, offset)) return
    this.#late = data
    setImmediate(() => this.#hashLate())
  }

  /** Whether these bytes belong to the digest, which has all before them then. */
  #count(data: Uint8Array, offset: number | null): boolean {
    this.#hashLate()
    this.bytes += data.byteLength
    if (offset !== null && offset !== this.#next) this.lose()
    this.#next += data.byteLength
    return this.#hash !== null
  }

  #hashLate(): void {
    if (this.#late !== null) this.#hash?.update(this.#late)
    this.#late = null
  }

  /** The file holds something else than what was counted here: no digest any more. */
  lose(): void {
    this.#hash = null
    this.#late = null
  }

  /** `sha256` is null when bytes moved out of order: then only the totals are known. */
  detail(): { readonly [key: string]: Json } {
    this.#hashLate()
    return { bytes: this.bytes, sha256: this.#hash?.copy().digest('hex') ?? null }
  }
}

/** One open regular file: moves bytes against its lease, counts them, and tells the totals when it closes. */
export class FileHandle implements HeldThing {
  readonly kind = 'fs.file'
  readonly #file: OpenedFile
  readonly #read = new Totals()
  readonly #written = new Totals()
  /** For pages of a mapping of a file this handle appends to; opened when the first comes. */
  #unappending: number | null = null
  /** Bytes room was made for. */
  #allocated = 0
  /** Bytes of holes and zeros. */
  #cleared = 0
  #busy = 0
  #closing: Promise<void> | null = null
  #waiting: (() => void)[] = []

  /** Why it was closed before the agent closed it. */
  #withdrawn: AuthorityError | null = null

  constructor(file: OpenedFile) {
    this.#file = file
    file.lease.onWithdrawn((error) => {
      this.#withdrawn = error
      // A log that cannot be written latches by itself; there is nobody here to tell.
      this.close().catch(() => undefined)
    })
  }

  /**
   * Reads up to `length` bytes at `offset` into `into` from `at` on. Returns how many; 0 past the end. They count against the lease before the caller may pass
   * them on. Throws AuthorityError, E_CONFLICT/EBADF when not open for reading, E_BUDGET_EXCEEDED.
   */
  read(into: Uint8Array, at: number, length: number, offset: number): number | Promise<number> {
    this.#check(this.#file.reads, offset, length)
    const got = this.#file.sys.read(this.#file.fd, into, at, length, offset)
    if (!got.ok) throw hostError(got.errno, this.#file.text)
    const count = (): number => {
      this.#read.add(into.subarray(at, at + got.value), offset)
      return got.value
    }
    const wait = this.#file.lease.spend(got.value, 'bytes_in')
    return wait === undefined ? count() : this.#during(wait.then(count))
  }

  /** Writes all of `data` at `offset` (at the end with APPEND), after the lease allowed it. Returns its length. */
  write(data: Uint8Array, offset: number): number | Promise<number> {
    this.#check(this.#file.writes, offset, data.byteLength)
    const wait = this.#file.lease.spend(data.byteLength, 'bytes_written')
    if (wait === undefined && !this.#file.sync) return this.#put(data, offset)
    return this.#during(this.#putLater(wait, data, offset))
  }

  async #putLater(wait: undefined | Promise<void>, data: Uint8Array, offset: number): Promise<number> {
    await wait
    const written = this.#put(data, offset)
    if (this.#file.sync) await this.#sync(true)
    return written
  }

  /** As `write`, and at `offset` also with APPEND: Linux itself appends where a descriptor says so, whatever the offset. */
  writeAt(data: Uint8Array, offset: number): number | Promise<number> {
    if (!this.#file.append) return this.write(data, offset)
    this.#check(this.#file.writes, offset, data.byteLength)
    return this.#during(this.#putAt(data, offset))
  }

  async #putAt(data: Uint8Array, offset: number): Promise<number> {
    await this.#file.lease.spend(data.byteLength, 'bytes_written')
    const { sys, text } = this.#file
    if (this.#unappending === null) {
      const opened = sys.reopen(this.#file.fd, O.WRONLY)
      if (!opened.ok) throw hostError(opened.errno, text)
      this.#unappending = opened.value
    }
    let done = 0
    while (done < data.byteLength) {
      const put = sys.write(this.#unappending, data, done, data.byteLength - done, offset + done)
      if (!put.ok) throw hostError(put.errno, text)
      done += put.value
    }
    this.#written.add(data, OUT_OF_ORDER)
    return done
  }

  /** Where data or a hole begins at or after `offset` (`whence` SEEK_DATA 3, SEEK_HOLE 4). Throws ENXIO past the end. A file that may not be read has no holes. */
  seek(offset: number, whence: number): number {
    this.#check(whence === SEEK_DATA || whence === SEEK_HOLE, offset, 0)
    if (!this.#file.reads) {
      const { size } = this.stat()
      if (offset >= size) throw hostError('ENXIO', this.#file.text)
      return whence === SEEK_DATA ? offset : size
    }
    const found = this.#file.sys.seek(this.#file.fd, offset, whence)
    if (!found.ok) throw hostError(found.errno, this.#file.text)
    return found.value
  }

  /** As the agent named it, for messages. */
  get text(): string {
    return this.#file.text
  }

  get writes(): boolean {
    return this.#file.writes
  }

  /** flock(2) of this open file, without waiting; null lets go. */
  lock(kind: 'shared' | 'exclusive' | null): Sys<number> {
    this.#check(true, 0, 0)
    return this.#file.sys.lock(this.#file.fd, kind)
  }

  /** Another open file description of the same file with the same rights: locks of one owner live on one. The caller closes it. */
  another(): number {
    this.#check(true, 0, 0)
    const { sys, fd, reads, writes, text } = this.#file
    const opened = sys.reopen(fd, !writes ? O.RDONLY : reads ? O.RDWR : O.WRONLY)
    if (!opened.ok) throw hostError(opened.errno, text)
    return opened.value
  }

  /**
   * Makes room on the host, a hole or zeros, which count against the lease as writing them would: of a hole only what lies in the file. `mode`: bits of FALLOC.
   */
  allocate(offset: number, length: number, mode: number): void | Promise<void> {
    this.#check(this.#file.writes, offset, length)
    if (length === 0) throw hostError('EINVAL', this.#file.text)
    const clears = (mode & (FALLOC.PUNCH_HOLE | FALLOC.ZERO_RANGE)) !== 0
    const bytes = (mode & FALLOC.PUNCH_HOLE) !== 0 ? Math.max(0, Math.min(length, this.stat().size - offset)) : length
    const make = (): void => {
      const done = this.#file.sys.allocate(this.#file.fd, mode, offset, length)
      if (!done.ok) throw hostError(done.errno, this.#file.text)
      if (clears) this.#written.lose()
      if (clears) this.#cleared += bytes
      else this.#allocated += bytes
    }
    const wait = this.#file.lease.spend(bytes, 'bytes_written')
    return wait === undefined ? make() : this.#during(wait.then(make))
  }

  /** Throws EBADF when not open for writing. */
  assertWritable(): void {
    this.#check(this.#file.writes, 0, 0)
  }

  #put(data: Uint8Array, offset: number): number {
    let done = 0
    while (done < data.byteLength) {
      const put = this.#file.sys.write(this.#file.fd, data, done, data.byteLength - done, this.#file.append ? null : offset + done)
      if (!put.ok && done === 0) throw hostError(put.errno, this.#file.text)
      if (!put.ok || put.value === 0) break
      done += put.value
    }
    this.#written.addLate(data.subarray(0, done), this.#file.append ? null : offset)
    return done
  }

  /** Resolves when the host has the file (`dataOnly`: its bytes and size) on stable storage. */
  fsync(dataOnly: boolean): Promise<void> {
    this.#check(true, 0, 0)
    return this.#during(this.#sync(dataOnly))
  }

  async #sync(dataOnly: boolean): Promise<void> {
    const done = await this.#file.sys.fsync(this.#file.fd, dataOnly)
    if (!done.ok) throw hostError(done.errno, this.#file.text)
  }

  /** Attributes of the open file itself, also when its name is gone. */
  stat(): Stat {
    this.#check(true, 0, 0)
    const found = this.#file.sys.stat(this.#file.fd, '')
    if (!found.ok) throw hostError(found.errno, this.#file.text)
    return found.value
  }

  /** Resolves when nothing is under way on this handle. */
  async settled(): Promise<void> {
    if (this.#busy > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** Sets the length through this handle's own descriptor. Throws when not open for writing. */
  truncate(size: number): void {
    this.#check(this.#file.writes, 0, size)
    const done = this.#file.sys.truncate(this.#file.fd, size)
    if (!done.ok) throw hostError(done.errno, this.#file.text)
  }

  /** Waits for what is under way, records totals durably, and lets the descriptor go, also when the record fails. Twice: the same answer. */
  close(): Promise<void> {
    this.#closing ??= this.#finish()
    return this.#closing
  }

  async #finish(): Promise<void> {
    await this.settled()
    this.#file.sys.close(this.#file.fd)
    if (this.#unappending !== null) this.#file.sys.close(this.#unappending)
    const { reads, writes, lease } = this.#file
    await lease.close({
      ...(reads ? { read: this.#read.detail() } : {}),
      ...(writes ? { written: this.#written.detail() } : {}),
      ...(this.#allocated > 0 ? { allocated: this.#allocated } : {}),
      ...(this.#cleared > 0 ? { cleared: this.#cleared } : {}),
    })
  }

  #check(allowed: boolean, offset: number, length: number): void {
    if (this.#withdrawn !== null) throw this.#withdrawn
    if (this.#closing !== null || !allowed) throw hostError('EBADF', this.#file.text)
    if (offset < 0 || offset + length > MAX_OFFSET)
      throw new AuthorityError('E_CONFLICT', `${this.#file.text}: offset out of range`, { errno: 'EINVAL' })
  }

  /** Keeps the descriptor from being closed, and its number from being given to another file, while `work` uses it. */
  async #during<T>(work: Promise<T>): Promise<T> {
    this.#busy++
    try {
      return await work
    } finally {
      this.#busy--
      if (this.#busy === 0) for (const wake of this.#waiting.splice(0)) wake()
    }
  }
}
