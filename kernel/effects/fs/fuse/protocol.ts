/**
 * FUSE messages from the guest (linux/fuse.h, 7.31–7.38), parsed strictly: every length is checked, every name must be whole and valid UTF-8, nothing may trail.
 * Pure. All integers little-endian: the guests are.
 */
import { MAX_FUSE_DATA_BYTES, MAX_PATH_BYTES } from '@authority/protocol'
import type { ErrnoName } from '../errno.ts'
import { FORGET_ENTRY_BYTES, MAX_FUSE_MESSAGE_BYTES } from '../limits.ts'
import { type Attributes, type Body, type Header, IN_HEADER_BYTES, isSilent, type Malformed, OPCODE, type Request } from './messages.ts'

export function parseFuse(message: Uint8Array): Request | Malformed {
  if (message.byteLength < IN_HEADER_BYTES || message.byteLength > MAX_FUSE_MESSAGE_BYTES) return { unique: null, errno: 'EPROTO' }
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength)
  if (view.getUint32(0, true) !== message.byteLength) return { unique: null, errno: 'EPROTO' }
  const header: Header = {
    opcode: view.getUint32(4, true),
    unique: view.getBigUint64(8, true),
    node: small(view.getBigUint64(16, true)),
    pid: view.getUint32(32, true),
  }
  const unique = isSilent(header.opcode) || header.unique === 0n ? null : header.unique
  // Extensions after the body were not negotiated.
  if (view.getUint16(36, true) !== 0) return { unique, errno: 'EPROTO' }
  const reader = new Reader(message.subarray(IN_HEADER_BYTES))
  const parse = BODIES.get(header.opcode)
  if (parse === undefined) return { unique, errno: 'ENOSYS' }
  const body = parse(reader)
  if (reader.fault !== null) return { unique, errno: reader.fault }
  if (!reader.finished) return { unique, errno: 'EPROTO' }
  return { header, body }
}

export function isMalformed(request: Request | Malformed): request is Malformed {
  return 'errno' in request
}

function small(value: bigint): number {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : -1
}

/** Reads fields in order; the first fault is kept, and everything after it reads as zero. */
class Reader {
  fault: ErrnoName | null = null
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get finished(): boolean {
    return this.#at === this.#bytes.byteLength
  }
  get left(): number {
    return this.#bytes.byteLength - this.#at
  }
  u32(): number {
    return this.#take(4) ? this.#view.getUint32(this.#at - 4, true) : 0
  }
  u64(): bigint {
    return this.#take(8) ? this.#view.getBigUint64(this.#at - 8, true) : 0n
  }
  /** A number the gate gave out, or one it never did. */
  id(): number {
    return small(this.u64())
  }
  /** A file offset or size: beyond what a number holds exactly there is no file. */
  offset(): number {
    const value = small(this.u64())
    if (value < 0) this.fail('EFBIG')
    return value
  }
  skip(bytes: number): void {
    this.#take(bytes)
  }
  rest(): void {
    this.#at = this.#bytes.byteLength
  }
  bytes(length: number): Uint8Array {
    return this.#take(length) ? this.#bytes.subarray(this.#at - length, this.#at) : new Uint8Array(0)
  }
  /** Up to and with a NUL. */
  text(): string {
    const end = this.#bytes.indexOf(0, this.#at)
    if (end < 0 || end - this.#at > MAX_PATH_BYTES) {
      this.fail(end < 0 ? 'EPROTO' : 'ENAMETOOLONG')
      return ''
    }
    const bytes = this.#bytes.subarray(this.#at, end)
    this.#at = end + 1
    try {
      return UTF8.decode(bytes)
    } catch {
      this.fail('EILSEQ')
      return ''
    }
  }
  fail(errno: ErrnoName): void {
    this.fault ??= errno
  }
  #take(bytes: number): boolean {
    if (this.left < bytes) {
      this.fail('EPROTO')
      this.#at = this.#bytes.byteLength
      return false
    }
    this.#at += bytes
    return true
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const name =
  (op: 'lookup' | 'unlink' | 'rmdir') =>
  (r: Reader): Body => ({ op, name: r.text() })
const ended =
  (op: 'release' | 'flush') =>
  (r: Reader): Body => {
    const handle = r.id()
    r.skip(8)
    return { op, handle, owner: r.u64() }
  }
const synced =
  (op: 'fsync' | 'fsyncdir') =>
  (r: Reader): Body => {
    const handle = r.id()
    const dataOnly = (r.u32() & 1) !== 0
    r.skip(4)
    return { op, handle, dataOnly }
  }
const opened =
  (op: 'open' | 'opendir') =>
  (r: Reader): Body => {
    const flags = r.u32()
    r.skip(4)
    return { op, flags }
  }
const listed =
  (op: 'readdir' | 'readdirplus') =>
  (r: Reader): Body => {
    const body = { op, handle: r.id(), position: r.u64(), size: r.u32() }
    r.skip(20)
    return body
  }

const LOCK_KINDS = ['shared', 'exclusive', null] as const
/** Last byte a lock can be on: 2^63-1. */
const LAST_BYTE = (1n << 63n) - 1n
/** Lock flag: of the open file, as flock(2). */
const LK_FLOCK = 1
const lock =
  (op: 'getlk' | 'setlk' | 'setlkw') =>
  (r: Reader): Body => {
    const [handle, owner, start, end, type, pid, flags] = [r.id(), r.u64(), r.u64(), r.u64(), r.u32(), r.u32(), r.u32()]
    r.skip(4)
    const kind = LOCK_KINDS[type]
    if (kind === undefined || start > end || end > LAST_BYTE || (op === 'getlk' && kind === null)) r.fail('EINVAL')
    return { op, handle, owner, start, end, kind: kind ?? null, pid, flock: (flags & LK_FLOCK) !== 0 }
  }

const BODIES: ReadonlyMap<number, (reader: Reader) => Body> = new Map<number, (reader: Reader) => Body>([
  [OPCODE.INIT, readInit],
  [OPCODE.LOOKUP, name('lookup')],
  [OPCODE.UNLINK, name('unlink')],
  [OPCODE.RMDIR, name('rmdir')],
  [OPCODE.FORGET, (r) => ({ op: 'forget', lookups: r.u64() })],
  [OPCODE.BATCH_FORGET, readBatchForget],
  [OPCODE.GETATTR, readGetattr],
  [OPCODE.SETATTR, readSetattr],
  [OPCODE.READLINK, () => ({ op: 'readlink' })],
  [OPCODE.STATFS, () => ({ op: 'statfs' })],
  [OPCODE.DESTROY, () => ({ op: 'destroy' })],
  [OPCODE.SYMLINK, (r) => ({ op: 'symlink', name: r.text(), target: r.text() })],
  [OPCODE.MKNOD, readMknod],
  [OPCODE.MKDIR, readMkdir],
  [OPCODE.RENAME, (r) => ({ op: 'rename', flags: 0, toNode: r.id(), from: r.text(), to: r.text() })],
  [OPCODE.RENAME2, readRename2],
  [OPCODE.LINK, (r) => ({ op: 'link', fromNode: r.id(), name: r.text() })],
  [OPCODE.OPEN, opened('open')],
  [OPCODE.OPENDIR, opened('opendir')],
  [OPCODE.CREATE, readCreate],
  [OPCODE.READ, readRead],
  [OPCODE.WRITE, readWrite],
  [OPCODE.LSEEK, readSeek],
  [OPCODE.FALLOCATE, readAllocate],
  [OPCODE.COPY_FILE_RANGE, readCopy],
  [OPCODE.READDIR, listed('readdir')],
  [OPCODE.READDIRPLUS, listed('readdirplus')],
  [OPCODE.RELEASE, ended('release')],
  [OPCODE.RELEASEDIR, readReleaseDirectory],
  [OPCODE.FLUSH, ended('flush')],
  [OPCODE.FSYNC, synced('fsync')],
  [OPCODE.FSYNCDIR, synced('fsyncdir')],
  [OPCODE.GETLK, lock('getlk')],
  [OPCODE.SETLK, lock('setlk')],
  [OPCODE.SETLKW, lock('setlkw')],
  [OPCODE.ACCESS, readAccess],
  [OPCODE.INTERRUPT, (r) => ({ op: 'interrupt', unique: r.u64() })],
])

function readInit(r: Reader): Body {
  const body = { op: 'init', major: r.u32(), minor: r.u32(), readahead: r.u32(), flags: r.u32() } as const
  // 7.36 appends flags2 and reserved words: not used here.
  r.rest()
  return body
}

function readBatchForget(r: Reader): Body {
  const count = r.u32()
  r.skip(4)
  if (r.left !== count * FORGET_ENTRY_BYTES) {
    r.fail('EPROTO')
    return { op: 'batchForget', nodes: [] }
  }
  const nodes = Array.from({ length: count }, () => ({ node: r.id(), lookups: r.u64() }))
  return { op: 'batchForget', nodes }
}

function readGetattr(r: Reader): Body {
  const withHandle = (r.u32() & 1) !== 0
  r.skip(4)
  const handle = r.id()
  return { op: 'getattr', handle: withHandle ? handle : null }
}

const FATTR = { MODE: 1, UID: 2, GID: 4, SIZE: 8, ATIME: 16, MTIME: 32, FH: 64, ATIME_NOW: 128, MTIME_NOW: 256 } as const

function readSetattr(r: Reader): Body {
  const valid = r.u32()
  r.skip(4)
  const handle = r.id()
  const size = r.u64()
  r.skip(8)
  const [atime, mtime] = [r.u64(), r.u64()]
  r.skip(8)
  const [atimeNs, mtimeNs] = [r.u32(), r.u32()]
  r.skip(4)
  const mode = r.u32()
  r.skip(4)
  const [uid, gid] = [r.u32(), r.u32()]
  r.skip(4)
  const time = (set: number, now: number, s: bigint, ns: number): Attributes['atime'] => {
    if ((valid & set) === 0) return null
    if ((valid & now) !== 0) return 'now'
    if (ns > 999_999_999) r.fail('EINVAL')
    const seconds = Number(BigInt.asIntN(64, s))
    if (!Number.isSafeInteger(seconds)) r.fail('EINVAL')
    return { s: seconds, ns }
  }
  if ((valid & FATTR.SIZE) !== 0 && small(size) < 0) r.fail('EFBIG')
  return {
    op: 'setattr',
    change: {
      handle: (valid & FATTR.FH) !== 0 ? handle : null,
      mode: (valid & FATTR.MODE) !== 0 ? mode & 0o7777 : null,
      uid: (valid & FATTR.UID) !== 0 ? uid : null,
      gid: (valid & FATTR.GID) !== 0 ? gid : null,
      size: (valid & FATTR.SIZE) !== 0 ? small(size) : null,
      atime: time(FATTR.ATIME, FATTR.ATIME_NOW, atime, atimeNs),
      mtime: time(FATTR.MTIME, FATTR.MTIME_NOW, mtime, mtimeNs),
    },
  }
}

function readMknod(r: Reader): Body {
  const mode = r.u32()
  r.skip(12)
  return { op: 'mknod', mode, name: r.text() }
}

function readMkdir(r: Reader): Body {
  const mode = r.u32()
  r.skip(4)
  return { op: 'mkdir', mode, name: r.text() }
}

function readRename2(r: Reader): Body {
  const toNode = r.id()
  const flags = r.u32()
  r.skip(4)
  return { op: 'rename', flags, toNode, from: r.text(), to: r.text() }
}

function readCreate(r: Reader): Body {
  const [flags, mode] = [r.u32(), r.u32()]
  r.skip(8)
  return { op: 'create', flags, mode, name: r.text() }
}

function readRead(r: Reader): Body {
  const body = { op: 'read', handle: r.id(), offset: r.offset(), size: r.u32() } as const
  r.skip(20)
  return body
}

/** WRITE flag: a dirty page, not what a write(2) said. */
const WRITE_CACHE = 1

function readWrite(r: Reader): Body {
  const [handle, offset, size, flags] = [r.id(), r.offset(), r.u32(), r.u32()]
  r.skip(16)
  if (size > MAX_FUSE_DATA_BYTES) r.fail('EINVAL')
  return { op: 'write', handle, offset, cached: (flags & WRITE_CACHE) !== 0, data: r.bytes(size) }
}

function readSeek(r: Reader): Body {
  const body = { op: 'lseek', handle: r.id(), offset: r.offset(), whence: r.u32() } as const
  r.skip(4)
  return body
}

function readAllocate(r: Reader): Body {
  const body = { op: 'fallocate', handle: r.id(), offset: r.offset(), length: r.offset(), mode: r.u32() } as const
  r.skip(4)
  return body
}

/** The node of the target is in the message; its handle says the same. A length beyond what a number holds is as good as any large one. */
function readCopy(r: Reader): Body {
  const [handle, offset] = [r.id(), r.offset()]
  r.skip(8)
  const [toHandle, toOffset, length] = [r.id(), r.offset(), r.u64()]
  return { op: 'copy', handle, offset, toHandle, toOffset, length: Number(length), flags: r.id() }
}

function readReleaseDirectory(r: Reader): Body {
  const handle = r.id()
  r.skip(16)
  return { op: 'releasedir', handle }
}

function readAccess(r: Reader): Body {
  const mask = r.u32()
  r.skip(4)
  return { op: 'access', mask }
}
