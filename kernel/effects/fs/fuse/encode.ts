/** FUSE answers (linux/fuse.h). Every function returns a whole message with room for its header, which `finish` fills in. Pure. */
import { AGENT_UID, MAX_FUSE_DATA_BYTES } from '@authority/protocol'
import type { FileSystemStat, Stat } from '../syscalls.ts'
import type { Validity } from './keeping.ts'
import type { Conflict } from './locks.ts'
import { FUSE_MAJOR, FUSE_MINOR_MAX } from './messages.ts'

export const OUT_HEADER_BYTES = 16
const ENTRY_BYTES = 128
const ATTR_BYTES = 88
const DIRENT_HEAD_BYTES = 24
const BLOCK_BYTES = 4096
const PAGE_BYTES = 4096

/** INIT flags (linux/fuse.h). */
export const INIT_FLAG = {
  ASYNC_READ: 1 << 0,
  POSIX_LOCKS: 1 << 1,
  ATOMIC_O_TRUNC: 1 << 3,
  BIG_WRITES: 1 << 5,
  FLOCK_LOCKS: 1 << 10,
  AUTO_INVAL_DATA: 1 << 12,
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  PARALLEL_DIROPS: 1 << 18,
  MAX_PAGES: 1 << 22,
} as const
const WANTED = Object.values(INIT_FLAG).reduce((all, flag) => all | flag, 0)

/** The guest may keep cached pages over an opening; AUTO_INVAL_DATA drops them when size or time changed on the host. */
const FOPEN_KEEP_CACHE = 1 << 1
/** close(2) of what was only read has nothing to wait for: one round trip less. */
const FOPEN_NOFLUSH = 1 << 5
/** How an opened thing was opened, for what its closing needs. */
export type OpenedFor = 'directory' | 'reading' | 'writing'
const OPENED_FLAGS: Readonly<Record<OpenedFor, number>> = {
  directory: 0,
  reading: FOPEN_KEEP_CACHE | FOPEN_NOFLUSH,
  writing: FOPEN_KEEP_CACHE,
}
/** Requests the guest keeps under way in the background (readahead, asynchronous writes). */
const MAX_BACKGROUND = 16

/** A body's bytes, with the header's in front still empty. */
export type Reply = Uint8Array

export function empty(): Reply {
  return new Uint8Array(OUT_HEADER_BYTES)
}

export function finish(reply: Reply, unique: bigint, errno: number): Uint8Array {
  const view = new DataView(reply.buffer, reply.byteOffset, reply.byteLength)
  view.setUint32(0, reply.byteLength, true)
  view.setInt32(4, -errno, true)
  view.setBigUint64(8, unique, true)
  return reply
}

export function init(minor: number, readahead: number, flags: number): Reply {
  const { reply, view } = body(64)
  view.setUint32(0, FUSE_MAJOR, true)
  view.setUint32(4, Math.min(minor, FUSE_MINOR_MAX), true)
  view.setUint32(8, Math.min(readahead, MAX_FUSE_DATA_BYTES), true)
  view.setUint32(12, (flags & WANTED) >>> 0, true)
  view.setUint16(16, MAX_BACKGROUND, true)
  view.setUint16(18, (MAX_BACKGROUND * 3) / 4, true)
  view.setUint32(20, MAX_FUSE_DATA_BYTES, true)
  view.setUint32(24, 1, true)
  view.setUint16(28, MAX_FUSE_DATA_BYTES / PAGE_BYTES, true)
  return reply
}

/** A name that leads to a node. `keeps`, here and below: how long the guest may keep what it is told. */
export function entry(node: number, stat: Stat, keeps: Validity): Reply {
  const { reply, view } = body(ENTRY_BYTES)
  putEntry(view, 0, node, stat, keeps)
  return reply
}

/** A name that leads nowhere, for as long as a name is kept. */
export function absent(seconds: number): Reply {
  const { reply, view } = body(ENTRY_BYTES)
  view.setBigUint64(16, BigInt(seconds), true)
  return reply
}

export function attributes(stat: Stat, seconds: number): Reply {
  const { reply, view } = body(16 + ATTR_BYTES)
  view.setBigUint64(0, BigInt(seconds), true)
  putAttributes(view, 16, stat)
  return reply
}

export function opened(handle: number, purpose: OpenedFor): Reply {
  const { reply, view } = body(16)
  putOpened(view, 0, handle, purpose)
  return reply
}

export function created(node: number, stat: Stat, handle: number, keeps: Validity): Reply {
  const { reply, view } = body(ENTRY_BYTES + 16)
  putEntry(view, 0, node, stat, keeps)
  putOpened(view, ENTRY_BYTES, handle, 'writing')
  return reply
}

export function written(bytes: number): Reply {
  const { reply, view } = body(8)
  view.setUint32(0, bytes, true)
  return reply
}

export function position(offset: number): Reply {
  const { reply, view } = body(8)
  view.setBigUint64(0, BigInt(offset), true)
  return reply
}

/** What keeps a lock from being had; null: nothing. */
export function lockFound(conflict: Conflict | null): Reply {
  const { reply, view } = body(24)
  view.setUint32(16, conflict === null ? 2 : conflict.kind === 'exclusive' ? 1 : 0, true)
  if (conflict === null) return reply
  view.setBigUint64(0, conflict.start, true)
  view.setBigUint64(8, conflict.end, true)
  view.setUint32(20, conflict.pid, true)
  return reply
}

export function text(value: string): Reply {
  const bytes = new TextEncoder().encode(value)
  const { reply } = body(bytes.byteLength)
  reply.set(bytes, OUT_HEADER_BYTES)
  return reply
}

export function fileSystem(stat: FileSystemStat): Reply {
  const { reply, view } = body(80)
  const counts = [stat.blocks, stat.free, stat.available, stat.files, stat.filesFree]
  counts.forEach((count, i) => {
    view.setBigUint64(i * 8, BigInt(Math.max(0, Math.trunc(count))), true)
  })
  view.setUint32(40, stat.blockSize, true)
  view.setUint32(44, 255, true)
  view.setUint32(48, stat.blockSize, true)
  return reply
}

/** What a listing tells of a name beside it. */
export interface Known {
  readonly node: number
  readonly stat: Stat
  readonly keeps: Validity
}

/** Collects directory entries up to the size the guest asked for. */
export class Listing {
  readonly #reply: Uint8Array
  readonly #view: DataView
  readonly #plus: boolean
  #at = OUT_HEADER_BYTES

  constructor(size: number, plus: boolean) {
    this.#reply = new Uint8Array(OUT_HEADER_BYTES + Math.min(size, MAX_FUSE_DATA_BYTES))
    this.#view = new DataView(this.#reply.buffer)
    this.#plus = plus
  }

  /** Whether an entry with this name still fits. */
  fits(name: Uint8Array): boolean {
    return this.#at + this.#size(name) <= this.#reply.byteLength
  }

  /** `known`: node and attributes, for a readdirplus answer; null leaves the guest to look it up. */
  add(name: Uint8Array, ino: bigint, type: number, next: bigint, known: Known | null): void {
    const at = this.#at + (this.#plus ? ENTRY_BYTES : 0)
    if (known !== null) putEntry(this.#view, this.#at, known.node, known.stat, known.keeps)
    this.#view.setBigUint64(at, ino, true)
    this.#view.setBigUint64(at + 8, next, true)
    this.#view.setUint32(at + 16, name.byteLength, true)
    this.#view.setUint32(at + 20, type, true)
    this.#reply.set(name, at + DIRENT_HEAD_BYTES)
    this.#at += this.#size(name)
  }

  done(): Reply {
    return this.#reply.subarray(0, this.#at)
  }

  #size(name: Uint8Array): number {
    return (this.#plus ? ENTRY_BYTES : 0) + ((DIRENT_HEAD_BYTES + name.byteLength + 7) & ~7)
  }
}

function body(bytes: number): { readonly reply: Reply; readonly view: DataView } {
  const reply = new Uint8Array(OUT_HEADER_BYTES + bytes)
  return { reply, view: new DataView(reply.buffer, OUT_HEADER_BYTES) }
}

function putOpened(view: DataView, at: number, handle: number, purpose: OpenedFor): void {
  view.setBigUint64(at, BigInt(handle), true)
  view.setUint32(at + 8, OPENED_FLAGS[purpose], true)
}

/** Generation stays 0: a node number is never given out twice. */
function putEntry(view: DataView, at: number, node: number, stat: Stat, keeps: Validity): void {
  view.setBigUint64(at, BigInt(node), true)
  view.setBigUint64(at + 16, BigInt(keeps.name), true)
  view.setBigUint64(at + 24, BigInt(keeps.attributes), true)
  putAttributes(view, at + 40, stat)
}

/** Owned by the agent, without special bits, whoever owns it on the host. */
function putAttributes(view: DataView, at: number, stat: Stat): void {
  view.setBigUint64(at, stat.ino, true)
  view.setBigUint64(at + 8, BigInt(stat.size), true)
  view.setBigUint64(at + 16, BigInt(stat.blocks), true)
  const times = [stat.atime, stat.mtime, stat.ctime]
  times.forEach((time, i) => {
    view.setBigInt64(at + 24 + i * 8, BigInt(time.s), true)
    view.setUint32(at + 48 + i * 4, time.ns, true)
  })
  view.setUint32(at + 60, stat.mode & 0o170777, true)
  view.setUint32(at + 64, stat.nlink, true)
  view.setUint32(at + 68, AGENT_UID, true)
  view.setUint32(at + 72, AGENT_UID, true)
  view.setUint32(at + 80, BLOCK_BYTES, true)
}
