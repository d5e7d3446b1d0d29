import { createHash } from 'node:crypto'
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs'
import { errnoOf, ImageError } from './errors.ts'
import { COPY_CHUNK_BYTES, MAX_COMPONENT_BYTES, MAX_DEPTH, MAX_FILE_BYTES, MAX_IMAGE_PATH_BYTES, MAX_SYMLINK_BYTES } from './limits.ts'

/** A file time: whole seconds since 1970 and nanoseconds. Kept exactly: a .pyc whose source's time differs is stale. */
export interface FileTime {
  readonly seconds: number
  readonly nanos: number
}

/** What everything gets that has no time of its own. Not 0: zip-based tools refuse times before 1980. */
export const DEFAULT_TIME: FileTime = { seconds: 315_619_200, nanos: 0 }

/** A file's bytes, read when they are written: an agent's runtime is 100 MB and never in memory at once. */
export interface Content {
  /** Bytes; `chunks` must yield exactly as many. */
  readonly size: number
  chunks(): Iterable<Uint8Array>
  /** Same text, same bytes: what caches are keyed by, without reading a large file. */
  fingerprint(): string
}

interface EntryBase {
  /** Absolute inside the image, normal form: `/usr/bin/python3`. */
  readonly path: string
  /** Permission bits, setuid, setgid and sticky included (07777). */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtime: FileTime
}
export type DirEntry = EntryBase & { readonly kind: 'dir' }
export type FileEntry = EntryBase & { readonly kind: 'file'; readonly content: Content }
export type SymlinkEntry = EntryBase & { readonly kind: 'symlink'; readonly target: string }
/** One thing in an image. Devices, sockets and FIFOs do not exist in images; hard links are separate files. */
export type Entry = DirEntry | FileEntry | SymlinkEntry

const OWNER = { uid: 0, gid: 0 } as const

export function dirEntry(path: string, mode = 0o755, mtime: FileTime = DEFAULT_TIME): DirEntry {
  return { kind: 'dir', path, mode, mtime, ...OWNER }
}

export function fileEntry(path: string, content: Content | Uint8Array | string, mode = 0o644, mtime: FileTime = DEFAULT_TIME): FileEntry {
  const body =
    typeof content === 'string' ? bytesContent(Buffer.from(content)) : content instanceof Uint8Array ? bytesContent(content) : content
  return { kind: 'file', path, mode, mtime, content: body, ...OWNER }
}

export function symlinkEntry(path: string, target: string, mtime: FileTime = DEFAULT_TIME): SymlinkEntry {
  return { kind: 'symlink', path, mode: 0o777, mtime, target, ...OWNER }
}

export function bytesContent(bytes: Uint8Array): Content {
  return {
    size: bytes.length,
    chunks: () => (bytes.length === 0 ? [] : [bytes]),
    fingerprint: () => `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
  }
}

/** What identifies a host file's present content without reading it: any write changes its change time. */
export interface HostStat {
  readonly size: number
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
  readonly ino: bigint
}

/** A regular file of the host, opened without following a symlink at its end; a size that changed since is an error, not a truncated image. */
export function hostContent(path: string, stat: HostStat): Content {
  return {
    size: stat.size,
    chunks: () => readHost(path, stat.size),
    fingerprint: () => `host:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}:${path}`,
  }
}

/** lstat of a path that must be a regular file. */
export function hostFile(path: string): { readonly content: Content; readonly mode: number; readonly mtime: FileTime } {
  let stat: ReturnType<typeof lstatBig>
  try {
    stat = lstatBig(path)
  } catch (error) {
    throw new ImageError(errnoOf(error) === 'ENOENT' ? 'not-found' : 'host-io', `${path} cannot be read: ${errnoOf(error)}`, {
      cause: error,
    })
  }
  if (!stat.isFile()) throw new ImageError('bad-input', `${path} is not a regular file`)
  if (stat.size > BigInt(MAX_FILE_BYTES)) throw new ImageError('too-big', `${path} is larger than ${MAX_FILE_BYTES} bytes`)
  const facts = { size: Number(stat.size), mtimeNs: stat.mtimeNs, ctimeNs: stat.ctimeNs, ino: stat.ino }
  return { content: hostContent(path, facts), mode: Number(stat.mode) & 0o777, mtime: fileTime(stat.mtimeNs) }
}

function lstatBig(path: string) {
  return lstatSync(path, { bigint: true })
}

/** Times before 1970 become 1970: the format cannot hold them. */
export function fileTime(ns: bigint): FileTime {
  const from = ns < 0n ? 0n : ns
  return { seconds: Number(from / 1_000_000_000n), nanos: Number(from % 1_000_000_000n) }
}

function* readHost(path: string, size: number): Iterable<Uint8Array> {
  const changed = () =>
    new ImageError('bad-input', `${path} changed while the image was being built`, { hint: 'build again when nothing writes to it' })
  let fd: number
  try {
    // O_NONBLOCK: a FIFO put in the file's place must not hang the build
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    throw new ImageError('host-io', `${path} cannot be read: ${errnoOf(error)}`, { cause: error })
  }
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile() || stat.size !== size) throw changed()
    for (let done = 0; done < size; ) {
      const buffer = Buffer.allocUnsafe(Math.min(COPY_CHUNK_BYTES, size - done))
      const got = readSync(fd, buffer, 0, buffer.length, done)
      if (got === 0) throw changed()
      yield buffer.subarray(0, got)
      done += got
    }
  } finally {
    closeSync(fd)
  }
}

/** Throws ImageError when an entry breaks the rules every writer relies on. `where` names the layer in the message. */
export function checkEntry(entry: Entry, where: string): void {
  const bad = (why: string) => new ImageError('bad-input', `${where}: ${JSON.stringify(entry.path)} ${why}`)
  const path = entry.path
  if (!path.startsWith('/')) throw bad('is not absolute')
  if (path.includes('\0')) throw bad('contains NUL')
  if (!path.isWellFormed()) throw bad('is not valid Unicode')
  if (Buffer.byteLength(path) > MAX_IMAGE_PATH_BYTES) throw bad(`is longer than ${MAX_IMAGE_PATH_BYTES} bytes`)
  if (path !== '/') {
    const parts = path.slice(1).split('/')
    if (parts.length > MAX_DEPTH) throw bad(`is nested deeper than ${MAX_DEPTH}`)
    for (const part of parts) {
      if (part === '' || part === '.' || part === '..') throw bad('is not in normal form')
      if (Buffer.byteLength(part) > MAX_COMPONENT_BYTES) throw bad(`has a component longer than ${MAX_COMPONENT_BYTES} bytes`)
    }
  } else if (entry.kind !== 'dir') throw bad('must be a directory')
  if (!isUint(entry.mode, 0o7777)) throw bad(`has mode ${entry.mode}`)
  if (!isUint(entry.uid, 0xffffffff) || !isUint(entry.gid, 0xffffffff)) throw bad('has an owner out of range')
  if (!isUint(entry.mtime.seconds, Number.MAX_SAFE_INTEGER) || !isUint(entry.mtime.nanos, 999_999_999))
    throw bad('has a file time out of range')
  if (entry.kind === 'file' && !isUint(entry.content.size, MAX_FILE_BYTES))
    throw new ImageError('too-big', `${where}: ${path} is larger than ${MAX_FILE_BYTES} bytes`)
  if (entry.kind === 'symlink') {
    const length = Buffer.byteLength(entry.target)
    if (length === 0 || length > MAX_SYMLINK_BYTES || entry.target.includes('\0') || !entry.target.isWellFormed())
      throw bad('has an unusable symlink target')
  }
}

function isUint(value: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= max
}
