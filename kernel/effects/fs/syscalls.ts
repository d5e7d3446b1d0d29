/**
 * What the file effects need of the host's kernel. `linux.ts` is the one implementation; tests may wrap it to move the world between two calls, and another
 * operating system is another file. Nothing here decides: decisions stand in resolve.ts and object.ts.
 */

/** A system call's answer: its value or the name of its errno. */
export type Sys<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly errno: string }

/** open(2) flags that are the same on x86_64 and aarch64; the others come from the implementation. */
export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  DSYNC: 0o10000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
  SYNC: 0o4010000,
} as const

/** openat2(2) `resolve` bits. */
export const RESOLVE = { NO_XDEV: 0x01, NO_MAGICLINKS: 0x02, NO_SYMLINKS: 0x04, BENEATH: 0x08 } as const

/** renameat2(2) flags. */
export const RENAME = { NOREPLACE: 1, EXCHANGE: 2 } as const

export type Kind = 'file' | 'directory' | 'symlink' | 'other'

/** Seconds and nanoseconds since the epoch. */
export interface Time {
  readonly s: number
  readonly ns: number
}

export interface Stat {
  readonly kind: Kind
  /** File type and permission bits, as st_mode. */
  readonly mode: number
  readonly nlink: number
  readonly size: number
  /** 512-byte blocks. */
  readonly blocks: number
  readonly ino: bigint
  /** Identity of the file system. */
  readonly dev: string
  readonly atime: Time
  readonly mtime: Time
  readonly ctime: Time
  /** Birth time; zero where the file system keeps none. */
  readonly btime: Time
}

export interface FileSystemStat {
  /** f_type of statfs(2). */
  readonly type: number
  readonly blockSize: number
  readonly blocks: number
  readonly free: number
  readonly available: number
  readonly files: number
  readonly filesFree: number
}

/** A time to set: a moment, the host's now, or left as it is. */
export type TimeChange = Time | 'now' | 'keep'

export interface Syscalls {
  /** O_DIRECTORY and O_NOFOLLOW differ between architectures: named here. */
  readonly flags: { readonly DIRECTORY: number; readonly NOFOLLOW: number }
  openat2(dir: number, path: string, flags: number, mode: number, resolve: number): Sys<number>
  /** A fresh descriptor of the very object an O_PATH descriptor holds, with rights to read or write. */
  reopen(fd: number, flags: number): Sys<number>
  close(fd: number): void
  /** Of `name` in `dir` without following a symbolic link; `''` is the descriptor itself. */
  stat(dir: number, name: string): Sys<Stat>
  /** Text of the symbolic link an O_PATH descriptor holds. EILSEQ when it is not UTF-8. */
  readlink(fd: number): Sys<string>
  /** The host path by which the kernel knows a descriptor now. */
  pathOf(fd: number): Sys<string>
  mkdirat(dir: number, name: string, mode: number): Sys<number>
  unlinkat(dir: number, name: string, directory: boolean): Sys<number>
  renameat2(fromDir: number, from: string, toDir: number, to: string, flags: number): Sys<number>
  /** Gives the regular file an O_PATH descriptor holds another name. */
  linkat(fd: number, dir: number, name: string): Sys<number>
  symlinkat(target: string, dir: number, name: string): Sys<number>
  /** Of the object an O_PATH descriptor holds. */
  chmod(fd: number, mode: number): Sys<number>
  /** Of the object an O_PATH descriptor holds, a symbolic link included. */
  utimens(fd: number, atime: TimeChange, mtime: TimeChange): Sys<number>
  truncate(fd: number, size: number): Sys<number>
  read(fd: number, into: Uint8Array, at: number, length: number, offset: number): Sys<number>
  /** `offset` null: at the end (O_APPEND). */
  write(fd: number, from: Uint8Array, at: number, length: number, offset: number | null): Sys<number>
  /** lseek(2) with SEEK_DATA (3) or SEEK_HOLE (4). */
  seek(fd: number, offset: number, whence: number): Sys<number>
  /** fallocate(2); modes in limits.ts. */
  allocate(fd: number, mode: number, offset: number, length: number): Sys<number>
  /** Off the event loop. */
  fsync(fd: number, dataOnly: boolean): Promise<Sys<number>>
  /** linux_dirent64 records of an open directory from position `offset`; bytes put into `into`, 0 at the end. */
  getdents(fd: number, offset: bigint, into: Uint8Array): Sys<number>
  statfs(fd: number): Sys<FileSystemStat>
  /** Exclusive advisory lock without waiting: EAGAIN when another open description holds it. */
  tryLock(fd: number): Sys<number>
  unlock(fd: number): void
  /** flock(2) without waiting, null lets go: EAGAIN when another open description holds it. */
  lock(fd: number, kind: 'shared' | 'exclusive' | null): Sys<number>
  /** An open-file-description lock on bytes `start` to `end` (both included), without waiting: EAGAIN when another holds a part. */
  lockRange(fd: number, kind: 'shared' | 'exclusive' | null, range: ByteRange): Sys<number>
  /** A lock that keeps this description from locking the range so; null when nothing does. */
  conflictingRange(
    fd: number,
    kind: 'shared' | 'exclusive',
    range: ByteRange,
  ): Sys<(ByteRange & { readonly kind: 'shared' | 'exclusive' }) | null>
}

/** First and last byte, both included; 2^63-1 is the end of any file. */
export interface ByteRange {
  readonly start: bigint
  readonly end: bigint
}
