/** The host's file system: node:fs, and flock(2) through ffi because node has none. */
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
import type { AuditFs, FileFacts, OpenHow } from './fs.ts'

const LOCK_EXCLUSIVE_NOWAIT = 2 | 4
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
let flock: Flock | undefined

function loadFlock(): Flock {
  if (flock) return flock
  const require = createRequire(import.meta.url)
  const ffi = require('bun:ffi') as typeof import('bun:ffi')
  const library = process.platform === 'darwin' ? 'libSystem.B.dylib' : 'libc.so.6'
  const { symbols } = ffi.dlopen(library, { flock: { args: ['i32', 'i32'], returns: 'i32' } })
  flock = symbols.flock as Flock
  return flock
}

export const hostFs: AuditFs = {
  uid: process.geteuid?.() ?? 0,
  open: (path, how) => openSync(path, FLAGS[how], 0o600),
  read: (fd, into, position) => readSync(fd, into, 0, into.length, position),
  write: (fd, bytes, position) => writeSync(fd, bytes, 0, bytes.length, position),
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
