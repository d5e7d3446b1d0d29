import type { PreparedEffect } from '../../contract.ts'
import { hostError } from '../errno.ts'
import { DIRENT_BYTES, MAX_LISTING_BYTES } from '../limits.ts'
import { ask, askCrossed, askLook, effect, type FsContext, isMissing, type ObjectRef } from '../object.ts'
import { isNameable } from '../path.ts'
import type { HeldObject, Missing } from '../resolve.ts'
import { type Kind, O, type Syscalls } from '../syscalls.ts'

/** One name of a directory. */
export interface Entry {
  readonly name: string
  readonly ino: bigint
  /** undefined when the host's file system does not say. */
  readonly kind: Kind | undefined
  /** d_type of linux_dirent64. */
  readonly type: number
  /** Position after this entry. */
  readonly next: bigint
}

/** Attributes of what the path names; a symbolic link is not followed. Result as fs.stat. */
export function stat(context: FsContext, ref: ObjectRef): PreparedEffect {
  return look(context, ref, (held) => {
    const { kind, size, mode, mtime, nlink } = held.stat
    return [kind, size, mode & 0o7777, Math.max(0, mtime.s * 1e6 + Math.floor(mtime.ns / 1000)), nlink]
  })
}

/** Text of a symbolic link. Result: [target]. */
export function readlink(context: FsContext, ref: ObjectRef): PreparedEffect {
  return look(context, ref, (held) => {
    if (held.stat.kind !== 'symlink') throw hostError('EINVAL', ref.text, 'This is no symbolic link.')
    const target = context.sys.readlink(held.fd)
    if (!target.ok) throw hostError(target.errno, ref.text)
    return [target.value]
  })
}

/** Names in a directory: its contents, so reading it must be allowed, not only passing through. Result: [entries [name, kind], next cursor]. */
export function readdir(context: FsContext, ref: ObjectRef, cursor: number, max: number): PreparedEffect {
  return effect<HeldObject | Missing>({
    ...listing(context, ref),
    run: (held) => {
      if (isMissing(held)) throw hostError(held.missing, ref.text)
      return { result: page(context.sys, held, cursor, max, ref.text) }
    },
  })
}

/** Decides that a directory may be listed and opens it: for FUSE, which reads it page by page. `opened` takes the descriptor. */
export function opendir(context: FsContext, ref: ObjectRef, opened: (fd: number) => void): PreparedEffect {
  return effect<HeldObject | Missing>({
    ...listing(context, ref),
    run: (held) => {
      if (isMissing(held)) throw hostError(held.missing, ref.text)
      const fd = context.sys.reopen(held.fd, O.RDONLY | context.sys.flags.DIRECTORY)
      if (!fd.ok) throw hostError(fd.errno, ref.text)
      opened(fd.value)
      return { result: [] }
    },
  })
}

/** Returns when the names of a directory are on stable storage. Decided like a look: the answer tells that the directory exists. */
export function fsyncdir(context: FsContext, ref: ObjectRef): PreparedEffect {
  return effect<HeldObject | Missing>({
    ...reaching(context, ref),
    run: async (held) => {
      if (isMissing(held)) throw hostError(held.missing, ref.text)
      const fd = context.sys.reopen(held.fd, O.RDONLY | context.sys.flags.DIRECTORY)
      if (!fd.ok) throw hostError(fd.errno, ref.text)
      const done = await context.sys.fsync(fd.value, false)
      context.sys.close(fd.value)
      if (!done.ok) throw hostError(done.errno, ref.text)
      return { result: [] }
    },
  })
}

/** Decides that an object may be looked at and hands it to `use`, which returns the result row. */
export function look(context: FsContext, ref: ObjectRef, use: (held: HeldObject) => (string | number)[]): PreparedEffect {
  return effect<HeldObject | Missing>({
    ...reaching(context, ref),
    run: (held) => {
      if (isMissing(held)) throw hostError(held.missing, ref.text)
      return { result: use(held) }
    },
  })
}

function reaching(context: FsContext, ref: ObjectRef) {
  return {
    text: ref.text,
    requested: [...askLook(context, ref.object), ...askCrossed(ref)],
    unasked: 'a mount point',
    hold: () => ref.hold('look'),
    found: (held: HeldObject | Missing) => ({ questions: askLook(context, held.guest), object: held.guest }),
    letGo: (held: HeldObject | Missing) => {
      if (!isMissing(held)) ref.letGo(held)
    },
  }
}

function listing(context: FsContext, ref: ObjectRef) {
  return {
    ...reaching(context, ref),
    requested: [...ask(['fs.read'], ref.object), ...askCrossed(ref)],
    hold: () => ref.hold('read'),
    found: (held: HeldObject | Missing) => ({ questions: ask(['fs.read'], held.guest), object: held.guest }),
  }
}

/** The entries number `cursor`… of a directory. Names the agent could not ask for (not UTF-8, control characters) are left out. */
function page(sys: Syscalls, held: HeldObject, cursor: number, max: number, place: string): [(readonly [string, Kind])[], number] {
  if (held.stat.kind !== 'directory') throw hostError('ENOTDIR', place)
  const fd = sys.reopen(held.fd, O.RDONLY | sys.flags.DIRECTORY)
  if (!fd.ok) throw hostError(fd.errno, place)
  try {
    const entries: (readonly [string, Kind])[] = []
    let seen = 0
    let bytes = 0
    for (const entry of entriesOf(sys, fd.value, 0n, place)) {
      if (seen++ < cursor) continue
      bytes += entry.name.length * 3
      if (entries.length === max || bytes > MAX_LISTING_BYTES) return [entries, seen - 1]
      entries.push([entry.name, entry.kind ?? kindOf(sys, fd.value, entry.name)])
    }
    return [entries, 0]
  } finally {
    sys.close(fd.value)
  }
}

function kindOf(sys: Syscalls, dir: number, name: string): Kind {
  const found = sys.stat(dir, name)
  return found.ok ? found.value.kind : 'other'
}

const TYPES: Readonly<Record<number, Kind | undefined>> = { 0: undefined, 4: 'directory', 8: 'file', 10: 'symlink' }
const NAME_AT = 19

export interface ListOptions {
  /** Refuse with EILSEQ what no request could name, instead of leaving it out: everything must be known. */
  readonly all?: true
  /** With `.` and `..`. */
  readonly dots?: true
}

/** Entries from position `from` on, read in bounded pieces. Throws AuthorityError. */
export function* entriesOf(sys: Syscalls, fd: number, from: bigint, place: string, options: ListOptions = {}): Generator<Entry> {
  const buffer = new Uint8Array(DIRENT_BYTES)
  const view = new DataView(buffer.buffer)
  const decoder = new TextDecoder('utf-8', { fatal: true })
  for (let offset = from; ; ) {
    const got = sys.getdents(fd, offset, buffer)
    if (!got.ok) throw hostError(got.errno, place)
    if (got.value === 0) return
    for (let at = 0; at < got.value; ) {
      const length = view.getUint16(at + 16, true)
      const next = view.getBigUint64(at + 8, true)
      const type = view.getUint8(at + 18)
      const name = nameOf(decoder, buffer.subarray(at + NAME_AT, at + length))
      if (name === null && options.all) throw hostError('EILSEQ', place)
      if (name !== null && (options.dots || (name !== '.' && name !== '..')))
        yield { name, ino: view.getBigUint64(at, true), kind: type in TYPES ? TYPES[type] : 'other', type, next }
      at += length
      offset = next
    }
  }
}

function nameOf(decoder: TextDecoder, bytes: Uint8Array): string | null {
  try {
    const name = decoder.decode(bytes.subarray(0, bytes.indexOf(0)))
    return isNameable(name) ? name : null
  } catch {
    return null
  }
}
