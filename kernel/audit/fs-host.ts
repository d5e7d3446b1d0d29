/** The host's file system: node:fs; through ffi flock(2) and sync_file_range(2), because node has none, and pwrite(2), which costs a fifth less so. */

import type { Pointer } from 'bun:ffi'
import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  renameSync,
  rmdirSync,
  type Stats,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { constants as systemConstants } from 'node:os'
import type { AuditFs, FileFacts, OpenHow } from './fs.ts'

const LOCK_EXCLUSIVE_NOWAIT = 2 | 4
const SYNC_FILE_RANGE_WRITE = 2
const FLAGS: Readonly<Record<OpenHow, number>> = {
  // O_NONBLOCK: a FIFO planted under the name must not hang the open.
  read: constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
  write: constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK,
  create: constants.O_RDWR | constants.O_NOFOLLOW | constants.O_CREAT | constants.O_EXCL,
}

function facts(s: Stats): FileFacts {
  const kind = s.isFile() ? 'file' : s.isDirectory() ? 'folder' : s.isSymbolicLink() ? 'symlink' : 'other'
  return { kind, size: s.size, mode: s.mode & 0o7777, uid: s.uid, links: s.nlink }
}

type Flock = (fd: number, operation: number) => number
type StartWriting = (fd: number, position: number, bytes: number) => void
let flock: Flock | undefined
let startWriting: StartWriting | undefined
let write: AuditFs['write'] | undefined

function loadFlock(): Flock {
  if (flock) return flock
  const library = process.platform === 'darwin' ? 'libSystem.B.dylib' : 'libc.so.6'
  const { symbols } = ffi().dlopen(library, { flock: { args: ['i32', 'i32'], returns: 'i32' } })
  flock = symbols.flock as Flock
  return flock
}

/** Without a flag to wait, sync_file_range takes no error away from the fdatasync that follows: its own answer is not needed. */
function loadStartWriting(): StartWriting {
  if (startWriting) return startWriting
  if (process.platform !== 'linux') startWriting = () => {}
  else {
    const { symbols } = ffi().dlopen('libc.so.6', { sync_file_range: { args: ['i32', 'i64', 'i64', 'u32'], returns: 'i32' } })
    startWriting = (fd, position, bytes) => void symbols.sync_file_range(fd, position, bytes, SYNC_FILE_RANGE_WRITE)
  }
  return startWriting
}

const nodeWrite: AuditFs['write'] = (fd, bytes, from, to, position) => writeSync(fd, bytes, from, to - from, position)

function loadWrite(): AuditFs['write'] {
  write ??= (process.platform === 'linux' ? systemWrite() : undefined) ?? nodeWrite
  return write
}

/** Undefined with another C library. */
function systemWrite(): AuditFs['write'] | undefined {
  const { dlopen, ptr, read } = ffi()
  try {
    const { symbols } = dlopen('libc.so.6', {
      pwrite: { args: ['i32', 'ptr', 'u64', 'i64'], returns: 'i32' },
      __errno_location: { args: [], returns: 'ptr' },
    })
    const where = symbols.__errno_location()
    if (where === null) return undefined
    return (fd, bytes, from, to, position) => {
      for (;;) {
        const written = symbols.pwrite(fd, (ptr(bytes) + from) as Pointer, to - from, position)
        if (written >= 0) return written
        const errno = read.i32(where, 0)
        if (errno !== systemConstants.errno.EINTR) throw systemError(errno)
      }
    }
  } catch {
    return undefined
  }
}

function systemError(errno: number): Error {
  const code = Object.entries(systemConstants.errno).find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`
  return Object.assign(new Error(`${code}: write`), { code, errno: -errno, syscall: 'write' })
}

function ffi(): typeof import('bun:ffi') {
  return createRequire(import.meta.url)('bun:ffi') as typeof import('bun:ffi')
}

export const hostFs: AuditFs = {
  uid: process.geteuid?.() ?? 0,
  open: (path, how) => openSync(path, FLAGS[how], 0o600),
  read: (fd, into, position) => readSync(fd, into, 0, into.length, position),
  write: (fd, bytes, from, to, position) => loadWrite()(fd, bytes, from, to, position),
  startWriting: (fd, position, bytes) => loadStartWriting()(fd, position, bytes),
  datasync: (fd) => fdatasyncSync(fd),
  truncate: (fd, size) => ftruncateSync(fd, size),
  close: (fd) => closeSync(fd),
  stat: (fd) => facts(fstatSync(fd)),
  lstat: (path) => {
    const s = lstatSync(path, { throwIfNoEntry: false })
    return s === undefined ? null : facts(s)
  },
  realPath: (path) => realpathSync(path),
  list: (folder) => readdirSync(folder),
  makeFolder: (path) => {
    mkdirSync(path, { mode: 0o700 })
  },
  rename: (from, to) => renameSync(from, to),
  remove: (path) => unlinkSync(path),
  removeFolder: (path) => rmdirSync(path),
  syncFolder: (path) => {
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
    try {
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
  },
  tryLock: (fd) => loadFlock()(fd, LOCK_EXCLUSIVE_NOWAIT) === 0,
}
