/** Bytes of open files: against the lease their opening reserved. */
import { MAX_FUSE_DATA_BYTES } from '@authority/protocol'
import { hostError } from '../errno.ts'
import { FALLOC } from '../limits.ts'
import { wrote } from './believing.ts'
import { empty, OUT_HEADER_BYTES, position, type Reply, written } from './encode.ts'
import type { Body } from './messages.ts'
import type { FuseMount } from './mount.ts'

/** A hole never changes the length, says Linux. */
const ALLOCATIONS = new Set([
  0,
  FALLOC.KEEP_SIZE,
  FALLOC.PUNCH_HOLE | FALLOC.KEEP_SIZE,
  FALLOC.ZERO_RANGE,
  FALLOC.ZERO_RANGE | FALLOC.KEEP_SIZE,
])

type Of<T extends Body['op']> = Extract<Body, { readonly op: T }>
type Answer = Reply | Promise<Reply>

/** The answer's buffer is made no larger than a request may be, and copied smaller when little was read. */
export function read(mount: FuseMount, { handle, offset, size }: Of<'read'>): Answer {
  const { file } = mount.handles.file(handle)
  if (size > MAX_FUSE_DATA_BYTES) throw hostError('EINVAL', `handle ${handle}`)
  const reply = new Uint8Array(OUT_HEADER_BYTES + size)
  const cut = (got: number): Reply => (got < size / 2 ? reply.slice(0, OUT_HEADER_BYTES + got) : reply.subarray(0, OUT_HEADER_BYTES + got))
  const got = file.read(reply, OUT_HEADER_BYTES, size, offset)
  return got instanceof Promise ? got.then(cut) : cut(got)
}

/** `cached`: pages of a shared mapping come back through whichever handle of the file is open, with their own place, also where that handle appends. */
export function write(mount: FuseMount, { handle, offset, data, cached }: Of<'write'>): Answer {
  const { file, node } = mount.handles.file(handle)
  wrote(node)
  const put = cached ? file.writeAt(data, offset) : file.write(data, offset)
  return put instanceof Promise ? put.then(written) : written(put)
}

/** SEEK_DATA and SEEK_HOLE; the guest does the others itself. */
export function seek(mount: FuseMount, { handle, offset, whence }: Of<'lseek'>): Reply {
  return position(mount.handles.file(handle).file.seek(offset, whence))
}

/** Room, with or without a longer file, holes and zeros; what is behind a place is never shifted: programs then write. */
export function allocate(mount: FuseMount, { handle, offset, length, mode }: Of<'fallocate'>): Answer {
  const { file } = mount.handles.file(handle)
  if (!ALLOCATIONS.has(mode)) throw hostError('EOPNOTSUPP', `handle ${handle}`)
  const done = file.allocate(offset, length, mode)
  return done instanceof Promise ? done.then(empty) : empty()
}

/** At most one request's worth at a time, as a read and a write of ours: both totals and digests stay true. The guest asks for the rest. */
export async function copy(mount: FuseMount, { handle, offset, toHandle, toOffset, length, flags }: Of<'copy'>): Promise<Reply> {
  const [from, to] = [mount.handles.file(handle).file, mount.handles.file(toHandle).file]
  if (flags !== 0) throw hostError('EINVAL', `handle ${handle}`)
  const bytes = new Uint8Array(Math.min(length, MAX_FUSE_DATA_BYTES))
  to.assertWritable()
  const got = await from.read(bytes, 0, bytes.byteLength, offset)
  return written(got === 0 ? 0 : await to.write(bytes.subarray(0, got), toOffset))
}
