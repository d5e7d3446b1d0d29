/** FUSE messages as they are once parsed (linux/fuse.h). */
import type { ErrnoName } from '../errno.ts'

export const IN_HEADER_BYTES = 40
/** Oldest and newest minor version spoken; the guest's own decides between. */
export const FUSE_MAJOR = 7
export const FUSE_MINOR_MIN = 31
export const FUSE_MINOR_MAX = 38

export const OPCODE = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  DESTROY: 38,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
} as const

export interface Header {
  readonly opcode: number
  readonly unique: bigint
  /** -1 when it does not fit a number: no such node was ever given out. */
  readonly node: number
  readonly pid: number
}

/** SETATTR: what is to change. Times are in seconds and nanoseconds, or the host's now. */
export interface Attributes {
  readonly handle: number | null
  readonly mode: number | null
  readonly uid: number | null
  readonly gid: number | null
  readonly size: number | null
  readonly atime: { readonly s: number; readonly ns: number } | 'now' | null
  readonly mtime: { readonly s: number; readonly ns: number } | 'now' | null
}

/** A lock as the guest's kernel asks for it: of bytes, or with `flock` of the open file. */
export interface LockFields {
  readonly handle: number
  readonly owner: bigint
  readonly start: bigint
  readonly end: bigint
  /** null lets go. */
  readonly kind: 'shared' | 'exclusive' | null
  readonly pid: number
  readonly flock: boolean
}

export type Body =
  | { readonly op: 'init'; readonly major: number; readonly minor: number; readonly readahead: number; readonly flags: number }
  | { readonly op: 'lookup' | 'unlink' | 'rmdir'; readonly name: string }
  | { readonly op: 'forget'; readonly lookups: bigint }
  | { readonly op: 'batchForget'; readonly nodes: readonly { readonly node: number; readonly lookups: bigint }[] }
  | { readonly op: 'getattr'; readonly handle: number | null }
  | { readonly op: 'setattr'; readonly change: Attributes }
  | { readonly op: 'readlink' | 'statfs' | 'destroy' }
  | { readonly op: 'symlink'; readonly name: string; readonly target: string }
  | { readonly op: 'mknod' | 'mkdir'; readonly name: string; readonly mode: number }
  | { readonly op: 'rename'; readonly from: string; readonly toNode: number; readonly to: string; readonly flags: number }
  | { readonly op: 'link'; readonly fromNode: number; readonly name: string }
  | { readonly op: 'open' | 'opendir'; readonly flags: number }
  | { readonly op: 'create'; readonly name: string; readonly flags: number; readonly mode: number }
  | { readonly op: 'read'; readonly handle: number; readonly offset: number; readonly size: number }
  | { readonly op: 'readdir' | 'readdirplus'; readonly handle: number; readonly position: bigint; readonly size: number }
  | { readonly op: 'write'; readonly handle: number; readonly offset: number; readonly cached: boolean; readonly data: Uint8Array }
  | { readonly op: 'lseek'; readonly handle: number; readonly offset: number; readonly whence: number }
  | { readonly op: 'fallocate'; readonly handle: number; readonly offset: number; readonly length: number; readonly mode: number }
  | {
      readonly op: 'copy'
      readonly handle: number
      readonly offset: number
      readonly toHandle: number
      readonly toOffset: number
      readonly length: number
      readonly flags: number
    }
  | { readonly op: 'releasedir'; readonly handle: number }
  | { readonly op: 'release' | 'flush'; readonly handle: number; readonly owner: bigint }
  | ({ readonly op: 'getlk' | 'setlk' | 'setlkw' } & LockFields)
  | { readonly op: 'fsync' | 'fsyncdir'; readonly handle: number; readonly dataOnly: boolean }
  | { readonly op: 'access'; readonly mask: number }
  | { readonly op: 'interrupt'; readonly unique: bigint }

export interface Request {
  readonly header: Header
  readonly body: Body
}

/** A message that cannot be worked on. `unique` is null when not even the header can be believed: then nothing is answered. */
export interface Malformed {
  readonly unique: bigint | null
  readonly errno: ErrnoName
}

/** What never gets an answer, malformed or not. */
export function isSilent(opcode: number): boolean {
  return opcode === OPCODE.FORGET || opcode === OPCODE.BATCH_FORGET || opcode === OPCODE.INTERRUPT
}
