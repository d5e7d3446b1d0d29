/** The Linux implementation of syscalls.ts over bun:ffi: the only file here that touches the kernel. x86_64 and aarch64, glibc or musl. */
import { dlopen, read as readMemory } from 'bun:ffi'
import fs from 'node:fs'
import { AuthorityError } from '@authority/protocol'
import { errnoName } from './errno.ts'
import type { ByteRange, Kind, Stat, Sys, Syscalls, Time, TimeChange } from './syscalls.ts'
import { O } from './syscalls.ts'

interface Architecture {
  readonly DIRECTORY: number
  readonly NOFOLLOW: number
  readonly renameat2: number
  readonly statx: number
  readonly getdents64: number
}
/** System call numbers and flags that differ (Linux uapi: asm/unistd.h, asm/fcntl.h). openat2 is 437 on both. */
const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  x64: { DIRECTORY: 0o200000, NOFOLLOW: 0o400000, renameat2: 316, statx: 332, getdents64: 217 },
  arm64: { DIRECTORY: 0o40000, NOFOLLOW: 0o100000, renameat2: 276, statx: 291, getdents64: 61 },
}
const SYS_OPENAT2 = 437
const AT_FDCWD = -100
const AT_SYMLINK_NOFOLLOW = 0x100
const AT_REMOVEDIR = 0x200
const AT_SYMLINK_FOLLOW = 0x400
const AT_EMPTY_PATH = 0x1000
/** STATX_BASIC_STATS | STATX_BTIME */
const STATX_MASK = 0xfff
const STATX_BYTES = 256
const UTIME_NOW = 0x3fffffff
const UTIME_OMIT = 0x3ffffffe
const LOCK_SH = 1
const LOCK_EX = 2
const LOCK_NB = 4
const LOCK_UN = 8
const F_OFD_GETLK = 36
const F_OFD_SETLK = 37
/** l_type of struct flock (asm-generic/fcntl.h, 64 bit). */
const RANGE_LOCK = { shared: 0, exclusive: 1, none: 2 } as const
const FLOCK_BYTES = 32
const END_OF_FILE = (1n << 63n) - 1n
const PATH_BYTES = 4096
const LIBRARIES = ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1']

function load(library: string) {
  // syscall(2) is declared once per shape: libbun makes one trampoline per declaration.
  const opens = dlopen(library, { syscall: { args: ['i64', 'i32', 'ptr', 'ptr', 'u64'], returns: 'i32' } }).symbols.syscall
  const stats = dlopen(library, { syscall: { args: ['i64', 'i32', 'ptr', 'i32', 'u32', 'ptr'], returns: 'i32' } }).symbols.syscall
  const renames = dlopen(library, { syscall: { args: ['i64', 'i32', 'ptr', 'i32', 'ptr', 'u32'], returns: 'i32' } }).symbols.syscall
  const lists = dlopen(library, { syscall: { args: ['i64', 'i32', 'ptr', 'u64'], returns: 'i32' } }).symbols.syscall
  const libc = dlopen(library, {
    __errno_location: { args: [], returns: 'ptr' },
    open: { args: ['ptr', 'i32', 'i32'], returns: 'i32' },
    close: { args: ['i32'], returns: 'i32' },
    readlinkat: { args: ['i32', 'ptr', 'ptr', 'u64'], returns: 'i32' },
    mkdirat: { args: ['i32', 'ptr', 'u32'], returns: 'i32' },
    unlinkat: { args: ['i32', 'ptr', 'i32'], returns: 'i32' },
    linkat: { args: ['i32', 'ptr', 'i32', 'ptr', 'i32'], returns: 'i32' },
    symlinkat: { args: ['ptr', 'i32', 'ptr'], returns: 'i32' },
    fchmodat: { args: ['i32', 'ptr', 'u32', 'i32'], returns: 'i32' },
    utimensat: { args: ['i32', 'ptr', 'ptr', 'i32'], returns: 'i32' },
    lseek: { args: ['i32', 'i64', 'i32'], returns: 'i64' },
    fallocate: { args: ['i32', 'i32', 'i64', 'i64'], returns: 'i32' },
    flock: { args: ['i32', 'i32'], returns: 'i32' },
    fcntl: { args: ['i32', 'i32', 'ptr'], returns: 'i32' },
  }).symbols
  return { opens, stats, renames, lists, libc }
}

function loadAny(): ReturnType<typeof load> {
  for (const library of LIBRARIES) {
    try {
      return load(library)
    } catch {
      // the next name
    }
  }
  throw new AuthorityError('E_UNSUPPORTED', 'host mounts: no C library could be loaded', {
    hint: 'Authority looks for libc.so.6 (glibc) and musl’s libc.',
  })
}

/**
 * Throws AuthorityError E_UNSUPPORTED on another operating system or processor, or when the kernel has no openat2 (before Linux 5.6):
 * without RESOLVE_BENEATH there is no safe way to open a path, so nothing is opened.
 */
export function linuxSyscalls(): Syscalls {
  const found = process.platform === 'linux' ? ARCHITECTURES[process.arch] : undefined
  if (found === undefined) {
    throw new AuthorityError('E_UNSUPPORTED', `host mounts: ${process.platform} on ${process.arch} is not supported`, {
      hint: 'Run without -v, or on Linux x86_64 or aarch64.',
    })
  }
  const made = build(found)
  const probe = made.openat2(AT_FDCWD, '/', O.PATH | O.CLOEXEC, 0, 0)
  if (!probe.ok)
    throw new AuthorityError('E_UNSUPPORTED', `host mounts: openat2 answers ${probe.errno}`, {
      hint: 'Host mounts need Linux 5.6 or newer.',
    })
  made.close(probe.value)
  return made
}

function build(arch: Architecture): Syscalls {
  const { opens, stats, renames, lists, libc } = loadAny()
  const where = libc.__errno_location()
  if (where === null) throw new AuthorityError('E_UNSUPPORTED', 'host mounts: the C library has no errno')
  const encoder = new TextEncoder()
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const path = new Uint8Array(PATH_BYTES + 1)
  const second = new Uint8Array(PATH_BYTES + 1)
  const text = new Uint8Array(PATH_BYTES + 1)
  const how = new BigUint64Array(3)
  const statx = new Uint8Array(STATX_BYTES)
  const statView = new DataView(statx.buffer)
  const times = new BigInt64Array(4)
  const flock = new Uint8Array(FLOCK_BYTES)
  const flockView = new DataView(flock.buffer)
  const tooLong = { ok: false, errno: 'ENAMETOOLONG' } as const

  const answer = (value: number): Sys<number> =>
    value >= 0 ? { ok: true, value } : { ok: false, errno: errnoName(readMemory.i32(where, 0)) }
  /** Puts NUL-terminated UTF-8 into a scratch buffer; false when it does not fit whole. */
  const put = (value: string, into: Uint8Array): boolean => {
    const { read, written } = encoder.encodeInto(value, into)
    if (read !== value.length || written > PATH_BYTES) return false
    into[written] = 0
    return true
  }
  const putTime = (at: number, change: TimeChange): void => {
    times[at] = typeof change === 'string' ? 0n : BigInt(change.s)
    times[at + 1] = BigInt(change === 'now' ? UTIME_NOW : change === 'keep' ? UTIME_OMIT : change.ns)
  }
  const putRange = (kind: keyof typeof RANGE_LOCK, { start, end }: ByteRange): void => {
    flock.fill(0)
    flockView.setInt16(0, RANGE_LOCK[kind], true)
    flockView.setBigInt64(8, start, true)
    flockView.setBigInt64(16, end === END_OF_FILE ? 0n : end - start + 1n, true)
  }
  const linkText = (dir: number): Sys<string> => {
    const length = answer(libc.readlinkat(dir, path, text, PATH_BYTES))
    if (!length.ok) return length
    if (length.value >= PATH_BYTES) return tooLong
    try {
      return { ok: true, value: decoder.decode(text.subarray(0, length.value)) }
    } catch {
      return { ok: false, errno: 'EILSEQ' }
    }
  }

  return {
    flags: { DIRECTORY: arch.DIRECTORY, NOFOLLOW: arch.NOFOLLOW },
    openat2(dir, name, flags, mode, resolve) {
      if (!put(name, path)) return tooLong
      how[0] = BigInt(flags)
      how[1] = BigInt(mode)
      how[2] = BigInt(resolve)
      return answer(opens(SYS_OPENAT2, dir, path, how, how.byteLength))
    },
    reopen(fd, flags) {
      put(`/proc/self/fd/${fd}`, path)
      return answer(libc.open(path, flags | O.CLOEXEC | O.NOCTTY | O.NONBLOCK, 0))
    },
    close(fd) {
      libc.close(fd)
    },
    stat(dir, name) {
      if (!put(name, path)) return tooLong
      const done = answer(stats(arch.statx, dir, path, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, STATX_MASK, statx))
      return done.ok ? { ok: true, value: readStat(statView) } : done
    },
    readlink(fd) {
      path[0] = 0
      return linkText(fd)
    },
    pathOf(fd) {
      put(`/proc/self/fd/${fd}`, path)
      return linkText(AT_FDCWD)
    },
    mkdirat: (dir, name, mode) => (put(name, path) ? answer(libc.mkdirat(dir, path, mode)) : tooLong),
    unlinkat: (dir, name, directory) => (put(name, path) ? answer(libc.unlinkat(dir, path, directory ? AT_REMOVEDIR : 0)) : tooLong),
    renameat2: (fromDir, from, toDir, to, flags) =>
      put(from, path) && put(to, second) ? answer(renames(arch.renameat2, fromDir, path, toDir, second, flags)) : tooLong,
    linkat(fd, dir, name) {
      put(`/proc/self/fd/${fd}`, path)
      return put(name, second) ? answer(libc.linkat(AT_FDCWD, path, dir, second, AT_SYMLINK_FOLLOW)) : tooLong
    },
    symlinkat: (target, dir, name) => (put(target, path) && put(name, second) ? answer(libc.symlinkat(path, dir, second)) : tooLong),
    chmod(fd, mode) {
      put(`/proc/self/fd/${fd}`, path)
      return answer(libc.fchmodat(AT_FDCWD, path, mode, 0))
    },
    utimens(fd, atime, mtime) {
      putTime(0, atime)
      putTime(2, mtime)
      path[0] = 0
      return answer(libc.utimensat(fd, path, times, AT_EMPTY_PATH))
    },
    truncate: (fd, size) =>
      attempt(() => {
        fs.ftruncateSync(fd, size)
        return 0
      }),
    read: (fd, into, at, length, offset) => attempt(() => fs.readSync(fd, into, at, length, offset)),
    write: (fd, from, at, length, offset) => attempt(() => fs.writeSync(fd, from, at, length, offset)),
    seek(fd, offset, whence) {
      const found = libc.lseek(fd, offset, whence)
      return found < 0n ? answer(-1) : { ok: true, value: Number(found) }
    },
    allocate: (fd, mode, offset, length) => answer(libc.fallocate(fd, mode, offset, length)),
    fsync: (fd, dataOnly) =>
      new Promise((resolve) => {
        const done = (error: NodeJS.ErrnoException | null): void =>
          resolve(error === null ? { ok: true, value: 0 } : { ok: false, errno: error.code ?? 'EIO' })
        if (dataOnly) fs.fdatasync(fd, done)
        else fs.fsync(fd, done)
      }),
    getdents(fd, offset, into) {
      if (libc.lseek(fd, offset, 0) < 0n) return answer(-1)
      return answer(lists(arch.getdents64, fd, into, into.byteLength))
    },
    statfs: (fd) =>
      attempt(() => {
        const found = fs.statfsSync(`/proc/self/fd/${fd}`)
        return {
          type: found.type,
          blockSize: found.bsize,
          blocks: found.blocks,
          free: found.bfree,
          available: found.bavail,
          files: found.files,
          filesFree: found.ffree,
        }
      }),
    tryLock: (fd) => answer(libc.flock(fd, LOCK_EX | LOCK_NB)),
    unlock(fd) {
      libc.flock(fd, LOCK_UN)
    },
    lock: (fd, kind) => answer(libc.flock(fd, kind === null ? LOCK_UN : (kind === 'shared' ? LOCK_SH : LOCK_EX) | LOCK_NB)),
    lockRange(fd, kind, range) {
      putRange(kind ?? 'none', range)
      const done = answer(libc.fcntl(fd, F_OFD_SETLK, flock))
      return !done.ok && done.errno === 'EACCES' ? { ok: false, errno: 'EAGAIN' } : done
    },
    conflictingRange(fd, kind, range) {
      putRange(kind, range)
      const done = answer(libc.fcntl(fd, F_OFD_GETLK, flock))
      if (!done.ok) return done
      const type = flockView.getInt16(0, true)
      if (type === RANGE_LOCK.none) return { ok: true, value: null }
      const [start, length] = [flockView.getBigInt64(8, true), flockView.getBigInt64(16, true)]
      return {
        ok: true,
        value: { start, end: length === 0n ? END_OF_FILE : start + length - 1n, kind: type === RANGE_LOCK.shared ? 'shared' : 'exclusive' },
      }
    },
  }
}

function attempt<T>(call: () => T): Sys<T> {
  try {
    return { ok: true, value: call() }
  } catch (error) {
    return { ok: false, errno: (error as NodeJS.ErrnoException).code ?? 'EIO' }
  }
}

const KINDS: ReadonlyMap<number, Kind> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
])

/** struct statx (linux/stat.h), the same on every architecture. */
function readStat(view: DataView): Stat {
  const time = (at: number): Time => ({ s: Number(view.getBigInt64(at, true)), ns: view.getUint32(at + 8, true) })
  const mode = view.getUint16(28, true)
  return {
    kind: KINDS.get(mode & 0o170000) ?? 'other',
    mode,
    nlink: view.getUint32(16, true),
    ino: view.getBigUint64(32, true),
    size: Number(view.getBigUint64(40, true)),
    blocks: Number(view.getBigUint64(48, true)),
    atime: time(64),
    btime: time(80),
    ctime: time(96),
    mtime: time(112),
    dev: `${view.getUint32(136, true)}:${view.getUint32(140, true)}`,
  }
}
