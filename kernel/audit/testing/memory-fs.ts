/**
 * A file system in memory for tests: knows which bytes and names a crash would keep, fails at any call one asks for, and locks like flock.
 * Every write lies in the page cache until `datasync`; a crash keeps an arbitrary subset of what was not synced, sector by sector.
 */
import type { AuditFs, FileFacts, OpenHow } from '../fs.ts'

const SECTOR = 512

interface MemoryFile {
  /** What reads see. */
  bytes: Uint8Array
  /** What a crash keeps for certain. */
  durable: Uint8Array
  mode: number
  uid: number
  lockedBy: number | null
}

type Entry =
  | { readonly kind: 'file'; readonly file: MemoryFile }
  | { readonly kind: 'folder'; mode: number; uid: number }
  | { readonly kind: 'symlink' }

export class SystemError extends Error {
  readonly code: string
  constructor(code: string) {
    super(code)
    this.code = code
  }
}

export interface Fault {
  /** The how-manieth call fails, counted from 0 over all calls that can. */
  readonly at: number
  readonly code: 'EIO' | 'ENOSPC'
  /** A write that fails may have written a part. */
  readonly partial?: boolean
}

export class MemoryFs implements AuditFs {
  readonly uid = 1000
  #names = new Map<string, Entry>()
  #durableNames = new Map<string, Entry>()
  readonly #open = new Map<number, { readonly file: MemoryFile; readonly how: OpenHow }>()
  #nextFd = 3
  /** Calls so far that can fail. */
  calls = 0
  /** Every such call by name, for tests that look at order. */
  readonly trace: string[] = []
  fault: Fault | null = null
  /** From this call on the process is dead: nothing more happens. */
  killAt: number | null = null

  constructor() {
    this.#names.set('/', { kind: 'folder', mode: 0o755, uid: 0 })
    this.#durableNames.set('/', { kind: 'folder', mode: 0o755, uid: 0 })
  }

  #call(name: string): void {
    const n = this.calls++
    this.trace.push(name)
    if (this.killAt !== null && n >= this.killAt) throw new SystemError('EKILLED')
    if (this.fault?.at === n && !(this.fault.partial && name === 'write')) throw new SystemError(this.fault.code)
  }

  #entry(path: string): Entry {
    const entry = this.#names.get(path)
    if (!entry) throw new SystemError('ENOENT')
    return entry
  }

  #file(fd: number): MemoryFile {
    const open = this.#open.get(fd)
    if (!open) throw new SystemError('EBADF')
    return open.file
  }

  open(path: string, how: OpenHow): number {
    this.#call('open')
    let entry = this.#names.get(path)
    if (entry?.kind === 'symlink') throw new SystemError('ELOOP')
    if (how === 'create') {
      if (entry) throw new SystemError('EEXIST')
      entry = { kind: 'file', file: { bytes: new Uint8Array(0), durable: new Uint8Array(0), mode: 0o600, uid: this.uid, lockedBy: null } }
      this.#names.set(path, entry)
    }
    if (!entry) throw new SystemError('ENOENT')
    if (entry.kind !== 'file') throw new SystemError('EISDIR')
    const fd = this.#nextFd++
    this.#open.set(fd, { file: entry.file, how })
    return fd
  }

  read(fd: number, into: Uint8Array, position: number): number {
    this.#call('read')
    const piece = this.#file(fd).bytes.subarray(position, position + into.length)
    into.set(piece)
    return piece.length
  }

  write(fd: number, bytes: Uint8Array, from: number, to: number, position: number): number {
    const failing = this.fault?.partial === true && this.fault.at === this.calls
    this.#call('write')
    const file = this.#file(fd)
    const written = bytes.subarray(from, failing ? from + Math.floor((to - from) / 2) : to)
    if (position + written.length > file.bytes.length) file.bytes = resized(file.bytes, position + written.length)
    file.bytes.set(written, position)
    if (failing) throw new SystemError(this.fault?.code ?? 'EIO')
    return written.length
  }

  startWriting(): void {}

  datasync(fd: number): void {
    this.#call('datasync')
    const file = this.#file(fd)
    file.durable = file.bytes.slice()
  }

  truncate(fd: number, size: number): void {
    this.#call('truncate')
    const file = this.#file(fd)
    file.bytes = resized(file.bytes, size)
  }

  close(fd: number): void {
    const open = this.#open.get(fd)
    if (!open) throw new SystemError('EBADF')
    this.#open.delete(fd)
    if (open.file.lockedBy === fd) open.file.lockedBy = null
  }

  stat(fd: number): FileFacts {
    const file = this.#file(fd)
    return { kind: 'file', size: file.bytes.length, mode: file.mode, uid: file.uid, links: 1 }
  }

  lstat(path: string): FileFacts | null {
    const entry = this.#names.get(path)
    if (!entry) return null
    if (entry.kind === 'file') return { kind: 'file', size: entry.file.bytes.length, mode: entry.file.mode, uid: entry.file.uid, links: 1 }
    if (entry.kind === 'symlink') return { kind: 'symlink', size: 0, mode: 0o777, uid: this.uid, links: 1 }
    return { kind: 'folder', size: 0, mode: entry.mode, uid: entry.uid, links: 2 }
  }

  realPath(path: string): string {
    return path
  }

  list(folder: string): readonly string[] {
    const prefix = `${folder}/`
    return [...this.#names.keys()]
      .filter((path) => path.startsWith(prefix) && !path.slice(prefix.length).includes('/'))
      .map((path) => path.slice(prefix.length))
  }

  makeFolder(path: string): void {
    this.#call('mkdir')
    if (this.#names.has(path)) throw new SystemError('EEXIST')
    this.#names.set(path, { kind: 'folder', mode: 0o700, uid: this.uid })
  }

  rename(from: string, to: string): void {
    this.#call('rename')
    const entry = this.#entry(from)
    this.#names.delete(from)
    this.#names.set(to, entry)
  }

  remove(path: string): void {
    this.#call('unlink')
    this.#entry(path)
    this.#names.delete(path)
  }

  removeFolder(path: string): void {
    this.#call('rmdir')
    if (this.list(path).length > 0) throw new SystemError('ENOTEMPTY')
    this.#names.delete(path)
  }

  syncFolder(path: string): void {
    this.#call('syncfolder')
    const inside = (p: string): boolean => p !== path && p.slice(0, p.lastIndexOf('/')) === (path === '/' ? '' : path)
    for (const p of [...this.#durableNames.keys()]) if (inside(p) && !this.#names.has(p)) this.#durableNames.delete(p)
    for (const [p, entry] of this.#names) if (inside(p)) this.#durableNames.set(p, entry)
  }

  tryLock(fd: number): boolean {
    const file = this.#file(fd)
    if (file.lockedBy !== null && file.lockedBy !== fd) return false
    file.lockedBy = fd
    return true
  }

  /** Power is cut: open files are gone, and of each unsynced sector `keep` decides whether it had reached the disk. Names not synced are lost unless `keepNames`. */
  crash(keep: () => boolean, keepNames = false): void {
    this.#open.clear()
    if (keepNames) this.#durableNames = new Map(this.#names)
    this.#names = new Map(this.#durableNames)
    for (const entry of this.#names.values()) {
      if (entry.kind !== 'file') continue
      entry.file.bytes = survivor(entry.file, keep)
      entry.file.durable = entry.file.bytes.slice()
      entry.file.lockedBy = null
    }
    this.fault = null
    this.killAt = null
  }

  /** Files below a folder, as a verifier could copy them. */
  snapshot(folder: string): Map<string, Uint8Array> {
    const files = new Map<string, Uint8Array>()
    for (const [path, entry] of this.#names)
      if (entry.kind === 'file' && path.startsWith(`${folder}/`)) files.set(path.slice(folder.length + 1), entry.file.bytes.slice())
    return files
  }

  /** Lets tests plant what a log must refuse. */
  plant(
    path: string,
    entry: { readonly kind: 'symlink' } | { readonly kind: 'folder'; readonly mode: number; readonly uid: number },
  ): void {
    this.#names.set(path, { ...entry })
    this.#durableNames.set(path, { ...entry })
  }
}

function resized(bytes: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size)
  out.set(bytes.subarray(0, size))
  return out
}

function survivor(file: MemoryFile, keep: () => boolean): Uint8Array {
  const size = keep() ? file.bytes.length : file.durable.length
  const out = resized(file.durable, size)
  for (let at = 0; at < size; at += SECTOR) {
    const now = file.bytes.subarray(at, Math.min(at + SECTOR, size))
    if (keep()) out.set(now, at)
  }
  return out
}
