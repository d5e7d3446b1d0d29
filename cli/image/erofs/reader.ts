import { fstatSync, readSync } from 'node:fs'
import type { Content, FileTime } from '../entries.ts'
import { errnoOf, ImageError } from '../errors.ts'
import {
  COPY_CHUNK_BYTES,
  MAX_DEPTH,
  MAX_DIRECTORY_BYTES,
  MAX_FILE_BYTES,
  MAX_IMAGE_BYTES,
  MAX_IMAGE_ENTRIES,
  MAX_SYMLINK_BYTES,
} from '../limits.ts'
import { joinPath } from '../tree.ts'
import { BLOCK, blocksOf, LAYOUT_INLINE, NID_BYTES, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET } from './format.ts'
import { checkSuperblock, type DirItem, parseDirectoryBlock, parseInode, type RawInode, type Superblock } from './parse.ts'

export interface Stat {
  readonly kind: 'dir' | 'file' | 'symlink'
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtime: FileTime
  readonly nid: number
}

/**
 * Reads an erofs image over a descriptor it does not own. Every offset and size in the image is a claim: it is checked against the
 * image's length and the limits before anything is read or allocated, and anything that does not hold is an ImageError `corrupt`.
 * Understands what Authority writes and plain mkfs.erofs images (compact inodes); compressed, chunked or multi-device images are refused.
 */
export class ErofsReader {
  readonly fd: number
  readonly size: number
  private readonly identity: string
  private readonly sb: Superblock

  /** `identity` names the image in fingerprints of its files: its SHA-256 where that was checked. */
  constructor(fd: number, identity = 'unnamed') {
    this.fd = fd
    this.identity = identity
    const stat = fstatSync(fd)
    if (!stat.isFile()) throw new ImageError('corrupt', 'the image is not a regular file')
    this.size = stat.size
    if (this.size > MAX_IMAGE_BYTES) throw new ImageError('too-big', `the image is larger than ${MAX_IMAGE_BYTES} bytes`)
    this.sb = checkSuperblock(
      this.bytesAt(SUPERBLOCK_OFFSET, Math.min(BLOCK - SUPERBLOCK_OFFSET, this.size - SUPERBLOCK_OFFSET), 'superblock'),
      this.size,
    )
  }

  get volumeName(): string {
    return this.sb.volumeName
  }

  /** Looks at the last component itself, not where a symlink points. Undefined when there is no such path. */
  stat(path: string): Stat | undefined {
    const nid = this.resolve(path)
    return nid === undefined ? undefined : this.statNid(nid)
  }

  /** Names in a directory, in byte order, without `.` and `..`. Throws `not-found` when there is none, `bad-input` for a file. */
  list(path: string): readonly string[] {
    const stat = this.stat(path)
    if (stat === undefined) throw new ImageError('not-found', `${path} is not in the image`)
    if (stat.kind !== 'dir') throw new ImageError('bad-input', `${path} is not a directory in the image`)
    return this.items(this.inode(stat.nid)).map((item) => item.name)
  }

  /** A file's bytes as a stream. Symlinks are not followed. */
  content(path: string): Content {
    const stat = this.stat(path)
    if (stat === undefined) throw new ImageError('not-found', `${path} is not in the image`)
    if (stat.kind !== 'file') throw new ImageError('bad-input', `${path} is a ${stat.kind} in the image, not a file`)
    return this.contentOfNid(stat.nid)
  }

  contentOfNid(nid: number): Content {
    const inode = this.inode(nid)
    return { size: inode.size, chunks: () => this.data(inode), fingerprint: () => `${this.identity}:${nid}` }
  }

  /** A whole file of at most `limit` bytes. */
  readFile(path: string, limit: number): Buffer {
    const content = this.content(path)
    if (content.size > limit) throw new ImageError('too-big', `${path} in the image is larger than ${limit} bytes`)
    return Buffer.concat([...content.chunks()])
  }

  readlink(nid: number): string {
    const inode = this.inode(nid)
    if (inode.kind !== 'symlink' || inode.size > MAX_SYMLINK_BYTES || inode.size === 0) throw this.corrupt(`symlink ${nid}`)
    const target = decode(Buffer.concat([...this.data(inode)]))
    if (target === undefined || target.includes('\0')) throw this.corrupt(`symlink ${nid}`)
    return target
  }

  /** Every path with its stat, parents first, siblings in byte order. A directory reached twice (a loop) is corrupt. */
  *walk(): Generator<{ readonly path: string; readonly stat: Stat }> {
    const seen = new Set<number>()
    let count = 0
    const stack: { path: string; nid: number; depth: number }[] = [{ path: '/', nid: this.sb.rootNid, depth: 0 }]
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      const stat = this.statNid(top.nid)
      if (++count > MAX_IMAGE_ENTRIES) throw new ImageError('too-big', `the image holds more than ${MAX_IMAGE_ENTRIES} files`)
      yield { path: top.path, stat }
      if (stat.kind !== 'dir') continue
      if (seen.has(top.nid) || top.depth >= MAX_DEPTH) throw this.corrupt(`directory ${top.path}`)
      seen.add(top.nid)
      const { path, depth } = top
      const items = this.items(this.inode(top.nid))
      if (stack.length + items.length > MAX_IMAGE_ENTRIES)
        throw new ImageError('too-big', `the image holds more than ${MAX_IMAGE_ENTRIES} files`)
      for (const item of [...items].reverse()) stack.push({ path: joinPath(path, item.name), nid: item.nid, depth: depth + 1 })
    }
  }

  private resolve(path: string): number | undefined {
    if (!path.startsWith('/')) throw new ImageError('bad-input', `${JSON.stringify(path)} is not an absolute path`)
    let nid = this.sb.rootNid
    for (const part of path.split('/').filter((name) => name !== '')) {
      const inode = this.inode(nid)
      if (inode.kind !== 'dir') return undefined
      const found = this.items(inode).find((item) => item.name === part)
      if (found === undefined) return undefined
      nid = found.nid
    }
    return nid
  }

  private statNid(nid: number): Stat {
    const { kind, mode, uid, gid, size, mtime } = this.inode(nid)
    return { kind, mode, uid, gid, size, mtime, nid }
  }

  private inode(nid: number): RawInode {
    const offset = this.sb.metaOffset + nid * NID_BYTES
    if (!Number.isSafeInteger(offset) || offset + 32 > this.size) throw this.corrupt(`inode ${nid}`)
    const head = this.bytesAt(offset, Math.min(64, this.size - offset), `inode ${nid}`)
    const inode = parseInode(head, nid, this.sb)
    // the data must lie inside the image whatever its size claims
    const inline = inode.layout === LAYOUT_INLINE ? inode.size % BLOCK : 0
    const plain = inode.size - inline
    if (inode.size > MAX_FILE_BYTES || inode.block * BLOCK + plain > this.size)
      throw this.corrupt(`inode ${nid}: its data lies outside the image`)
    const tailAt = offset + inode.headBytes
    if (inline > 0 && ((tailAt % BLOCK) + inline > BLOCK || tailAt + inline > this.size))
      throw this.corrupt(`inode ${nid}: its inline data crosses a block`)
    return { ...inode, inline, plain, tailAt }
  }

  private *data(inode: RawInode): Iterable<Uint8Array> {
    for (let done = 0; done < inode.plain; ) {
      const piece = this.bytesAt(inode.block * BLOCK + done, Math.min(COPY_CHUNK_BYTES, inode.plain - done), 'file data')
      yield piece
      done += piece.length
    }
    if (inode.inline > 0) yield this.bytesAt(inode.tailAt, inode.inline, 'file data')
  }

  private items(inode: RawInode): readonly DirItem[] {
    if (inode.size > MAX_DIRECTORY_BYTES)
      throw new ImageError('too-big', `a directory of the image is larger than ${MAX_DIRECTORY_BYTES} bytes`)
    const items: DirItem[] = []
    let previous: Buffer | undefined
    for (let index = 0; index < blocksOf(inode.size); index++) {
      const at = index * BLOCK
      const block =
        at < inode.plain
          ? this.bytesAt(inode.block * BLOCK + at, Math.min(BLOCK, inode.size - at), 'directory')
          : this.bytesAt(inode.tailAt, inode.inline, 'directory')
      for (const item of parseDirectoryBlock(block)) {
        // byte order is what the kernel's search relies on; it also rules out two entries of one name
        if (previous !== undefined && Buffer.compare(previous, item.bytes) >= 0) throw this.corrupt('directory: names are not in order')
        previous = item.bytes
        if (item.name !== '.' && item.name !== '..') items.push(item)
      }
    }
    return items
  }

  private bytesAt(offset: number, length: number, what: string): Buffer {
    if (offset < 0 || length < (what === 'superblock' ? SUPERBLOCK_BYTES : 0) || offset + length > this.size) throw this.corrupt(what)
    const buffer = Buffer.alloc(length)
    for (let done = 0; done < length; ) {
      let got: number
      try {
        got = readSync(this.fd, buffer, done, length - done, offset + done)
      } catch (error) {
        throw new ImageError('host-io', `the image cannot be read: ${errnoOf(error)}`, { cause: error })
      }
      if (got === 0) throw this.corrupt(what)
      done += got
    }
    return buffer
  }

  private corrupt(what: string): ImageError {
    return new ImageError('corrupt', `the image is damaged or not one Authority can read (${what})`, { hint: 'build it again' })
  }
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}
