import type { FileTime } from '../entries.ts'
import { ImageError } from '../errors.ts'
import * as F from './format.ts'

/** Pure parsers of single on-disk structures; the reader above them checks what spans structures. */

export interface Superblock {
  readonly rootNid: number
  /** Byte offset that nid 0 stands at. */
  readonly metaOffset: number
  readonly buildTime: FileTime
  readonly volumeName: string
}

export interface RawInode {
  readonly kind: 'dir' | 'file' | 'symlink'
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtime: FileTime
  readonly layout: number
  readonly block: number
  /** Bytes of the inode and its xattrs, after which inline data begins. */
  readonly headBytes: number
  readonly inline: number
  readonly plain: number
  readonly tailAt: number
}

export interface DirItem {
  readonly name: string
  readonly bytes: Buffer
  readonly nid: number
}

function corrupt(why: string): ImageError {
  return new ImageError('corrupt', `the image is damaged or not one Authority can read (${why})`, { hint: 'build it again' })
}

/** `bytes` reach from the superblock to the end of its block, or of a shorter image; `imageBytes` is the image's true length. */
export function checkSuperblock(bytes: Buffer, imageBytes: number): Superblock {
  if (bytes.readUInt32LE(0) !== F.MAGIC) throw corrupt('not an erofs image')
  if (bytes.readUInt8(12) !== F.BLOCK_BITS) throw corrupt('another block size')
  if (bytes.readUInt8(13) !== 0) throw corrupt('an extended superblock')
  // compression, extra devices, fragments, chunks: every incompatible feature changes where data lies
  if (bytes.readUInt32LE(80) !== 0 || bytes.readUInt16LE(86) !== 0) throw corrupt('features other than plain files')
  if ((bytes.readUInt32LE(8) & F.COMPAT_CHECKSUM) !== 0) {
    const zeroed = Buffer.from(bytes)
    zeroed.writeUInt32LE(0, 4)
    if (bytes.length !== F.BLOCK - F.SUPERBLOCK_OFFSET || F.crc32c(zeroed) !== bytes.readUInt32LE(4)) throw corrupt('superblock checksum')
  }
  if (bytes.readUInt32LE(36) * F.BLOCK > imageBytes) throw corrupt('truncated')
  const seconds = bytes.readBigUInt64LE(24)
  const name = bytes.subarray(64, 80)
  const end = name.indexOf(0)
  return {
    rootNid: bytes.readUInt16LE(14),
    metaOffset: bytes.readUInt32LE(40) * F.BLOCK,
    buildTime: fileTime(seconds, bytes.readUInt32LE(32)),
    volumeName: name.subarray(0, end < 0 ? 16 : end).toString('latin1'),
  }
}

/** `bytes`: up to 64 from the inode's start. What depends on its place (`inline`, `plain`, `tailAt`) is left 0 for the caller. */
export function parseInode(bytes: Buffer, nid: number, sb: Superblock): RawInode {
  const format = bytes.readUInt16LE(0)
  const extended = (format & 1) === 1
  const layout = (format >> 1) & 7
  const bad = (why: string) => corrupt(`inode ${nid}: ${why}`)
  if (format >> 4 !== 0 || (layout !== F.LAYOUT_PLAIN && layout !== F.LAYOUT_INLINE)) throw bad('a data layout other than plain')
  if (extended && bytes.length < F.EXTENDED_INODE_BYTES) throw bad('cut off')
  const xattrs = bytes.readUInt16LE(2)
  const rawMode = bytes.readUInt16LE(4)
  const type = rawMode & F.S_IFMT
  const kind = type === F.S_IFDIR ? 'dir' : type === F.S_IFREG ? 'file' : type === F.S_IFLNK ? 'symlink' : undefined
  if (kind === undefined) throw bad('a device, socket or FIFO')
  const size = extended ? bytes.readBigUInt64LE(8) : BigInt(bytes.readUInt32LE(8))
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw bad('size out of range')
  return {
    kind,
    mode: rawMode & 0o7777,
    uid: extended ? bytes.readUInt32LE(24) : bytes.readUInt16LE(24),
    gid: extended ? bytes.readUInt32LE(28) : bytes.readUInt16LE(26),
    size: Number(size),
    mtime: extended ? fileTime(bytes.readBigUInt64LE(32), bytes.readUInt32LE(40)) : sb.buildTime,
    layout,
    block: dataBlock(bytes, Number(size), layout),
    // i_xattr_icount n: a 12-byte header and n-1 words of 4 bytes
    headBytes: (extended ? F.EXTENDED_INODE_BYTES : F.COMPACT_INODE_BYTES) + (xattrs === 0 ? 0 : 12 + (xattrs - 1) * 4),
    inline: 0,
    plain: 0,
    tailAt: 0,
  }
}

/** mkfs writes ~0 where there is no block: only looked at when there is data in blocks. */
function dataBlock(bytes: Buffer, size: number, layout: number): number {
  const inBlocks = layout === F.LAYOUT_INLINE ? size - (size % F.BLOCK) : size
  return inBlocks === 0 ? 0 : bytes.readUInt32LE(16)
}

/** The entries of one directory block, `.` and `..` among them. */
export function parseDirectoryBlock(block: Buffer): readonly DirItem[] {
  if (block.length < F.DIRENT_BYTES) throw corrupt('directory: block too short')
  const first = block.readUInt16LE(8)
  if (first < F.DIRENT_BYTES || first % F.DIRENT_BYTES !== 0 || first > block.length) throw corrupt('directory: name offset')
  const count = first / F.DIRENT_BYTES
  const items: DirItem[] = []
  for (let index = 0; index < count; index++) {
    const at = index * F.DIRENT_BYTES
    const from = block.readUInt16LE(at + 8)
    const to = index + 1 < count ? block.readUInt16LE(at + F.DIRENT_BYTES + 8) : block.length
    if (from < first || to <= from || to > block.length) throw corrupt('directory: name offset')
    const nid = block.readBigUInt64LE(at)
    if (nid > BigInt(Number.MAX_SAFE_INTEGER)) throw corrupt('directory: inode number')
    const raw = block.subarray(from, to)
    // only a block's last name may be followed by padding
    const nul = index + 1 < count ? -1 : raw.indexOf(0)
    const bytes = nul < 0 ? raw : raw.subarray(0, nul)
    items.push({ name: nameOf(bytes), bytes, nid: Number(nid) })
  }
  return items
}

function nameOf(bytes: Buffer): string {
  if (bytes.length === 0 || bytes.length > 255 || bytes.includes(0) || bytes.includes(0x2f)) throw corrupt('directory: name')
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw corrupt('directory: a name is not UTF-8')
  }
}

function fileTime(seconds: bigint, nanos: number): FileTime {
  if (seconds > BigInt(Number.MAX_SAFE_INTEGER) || nanos > 999_999_999) throw corrupt('file time out of range')
  return { seconds: Number(seconds), nanos }
}
