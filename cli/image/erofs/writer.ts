import { createHash } from 'node:crypto'
import type { Entry } from '../entries.ts'
import { errnoOf, ImageError } from '../errors.ts'
import { COPY_CHUNK_BYTES } from '../limits.ts'
import type { TreeNode } from '../tree.ts'
import * as F from './format.ts'
import { blockUse, contentOf, type DirItem, type Layout, layOut, type PlacedInode } from './layout.ts'

/** Where the image goes: called with consecutive pieces, from the first byte to the last. */
export type Sink = (piece: Uint8Array) => void

export interface WrittenImage {
  /** Bytes. */
  readonly size: number
  /** SHA-256 of the whole image, hex. */
  readonly sha256: string
  readonly entries: number
}

/**
 * Writes a tree as an erofs image in one pass. The same tree gives the same bytes: no build time, no random identifier
 * (the UUID is a digest of the metadata). Files are streamed; the metadata and one chunk are all that is held in memory.
 * Errors: ImageError of the layout, of a content that yields another number of bytes than it promised, and of the sink.
 */
export function writeErofs(root: TreeNode, sink: Sink): WrittenImage {
  const layout = layOut(root)
  const hash = createHash('sha256')
  let written = 0
  const out = (piece: Uint8Array) => {
    hash.update(piece)
    sink(piece)
    written += piece.length
  }
  const meta = Buffer.alloc(layout.metaBytes)
  for (const inode of layout.inodes) {
    writeInode(meta, inode)
    if (inode.inline > 0) meta.set(inlineData(inode, layout), inode.offset + F.EXTENDED_INODE_BYTES)
  }
  writeSuperblock(meta, layout, root)
  out(meta)
  const dirs = layout.inodes.filter((inode) => inode.block !== 0 && inode.dir !== undefined)
  const files = layout.inodes.filter((inode) => inode.block !== 0 && inode.dir === undefined)
  for (const inode of [...dirs, ...files]) {
    if (written !== inode.block * F.BLOCK) throw new ImageError('corrupt', `${inode.entry.path}: the image layout does not add up`)
    writeBlocks(inode, layout, out)
  }
  if (written !== layout.blocks * F.BLOCK) throw new ImageError('corrupt', 'the image layout does not add up')
  return { size: written, sha256: hash.digest('hex'), entries: layout.inodes.length }
}

function writeInode(meta: Buffer, inode: PlacedInode): void {
  const at = inode.offset
  const { entry } = inode
  const layout = inode.inline > 0 ? F.LAYOUT_INLINE : F.LAYOUT_PLAIN
  meta.writeUInt16LE(1 | (layout << 1), at)
  meta.writeUInt16LE(typeBits(entry) | entry.mode, at + 4)
  meta.writeBigUInt64LE(BigInt(inode.size), at + 8)
  meta.writeUInt32LE(inode.block, at + 16)
  meta.writeUInt32LE(inode.ino, at + 20)
  meta.writeUInt32LE(entry.uid, at + 24)
  meta.writeUInt32LE(entry.gid, at + 28)
  meta.writeBigUInt64LE(BigInt(entry.mtime.seconds), at + 32)
  meta.writeUInt32LE(entry.mtime.nanos, at + 40)
  meta.writeUInt32LE(inode.nlink, at + 44)
}

function writeSuperblock(meta: Buffer, layout: Layout, root: TreeNode): void {
  const at = F.SUPERBLOCK_OFFSET
  const uuid = createHash('sha256').update(meta).digest().subarray(0, 16)
  // version 8 and variant 1 of RFC 9562: "custom content", so that nothing takes it for a random or time-based one
  uuid[6] = ((uuid[6] ?? 0) & 0x0f) | 0x80
  uuid[8] = ((uuid[8] ?? 0) & 0x3f) | 0x80
  meta.writeUInt32LE(F.MAGIC, at)
  meta.writeUInt32LE(F.COMPAT_CHECKSUM, at + 8)
  meta.writeUInt8(F.BLOCK_BITS, at + 12)
  meta.writeUInt16LE(nidOf(layout, root), at + 14)
  meta.writeBigUInt64LE(BigInt(layout.inodes.length), at + 16)
  meta.writeUInt32LE(layout.blocks, at + 36)
  uuid.copy(meta, at + 48)
  meta.write('authority', at + 64, 'latin1')
  meta.writeUInt32LE(F.crc32c(meta.subarray(at, F.BLOCK)), at + 4)
}

function nidOf(layout: Layout, node: TreeNode): number {
  const inode = layout.byNode.get(node)
  if (inode === undefined) throw new ImageError('corrupt', `${node.entry.path} has no inode`)
  return inode.offset / F.NID_BYTES
}

/** The bytes behind an inode: a small file whole, or a directory's last block. */
function inlineData(inode: PlacedInode, layout: Layout): Buffer {
  if (inode.dir !== undefined) return directoryBlock(inode.dir[inode.dir.length - 1] ?? [], layout, inode.inline)
  return Buffer.concat([...exactly(inode)])
}

function writeBlocks(inode: PlacedInode, layout: Layout, out: Sink): void {
  if (inode.dir !== undefined) {
    const blocks = inode.inline > 0 ? inode.dir.slice(0, -1) : inode.dir
    for (const block of blocks) out(directoryBlock(block, layout, F.BLOCK))
    return
  }
  for (const piece of exactly(inode)) out(piece)
  const rest = inode.size % F.BLOCK
  if (rest > 0) out(Buffer.alloc(F.BLOCK - rest))
}

/** A content's pieces, at most COPY_CHUNK_BYTES each; throws when they are more or fewer bytes than promised. */
function* exactly(inode: PlacedInode): Iterable<Uint8Array> {
  let done = 0
  const wrong = () =>
    new ImageError('bad-input', `${inode.entry.path} changed while the image was being built`, {
      hint: 'build again when nothing writes to it',
    })
  for (const piece of contentOf(inode.entry).chunks()) {
    done += piece.length
    if (done > inode.size) throw wrong()
    for (let at = 0; at < piece.length; at += COPY_CHUNK_BYTES) yield piece.subarray(at, at + COPY_CHUNK_BYTES)
  }
  if (done !== inode.size) throw wrong()
}

/** One directory block: all fixed-size records, then all names; the first record's name offset tells how many there are. */
function directoryBlock(items: readonly DirItem[], layout: Layout, length: number): Buffer {
  const block = Buffer.alloc(length)
  if (blockUse(items) > length) throw new ImageError('corrupt', 'a directory block overflows')
  let nameAt = items.length * F.DIRENT_BYTES
  items.forEach((item, index) => {
    const at = index * F.DIRENT_BYTES
    block.writeBigUInt64LE(BigInt(nidOf(layout, item.node)), at)
    block.writeUInt16LE(nameAt, at + 8)
    block.writeUInt8(direntType(item.node.entry), at + 10)
    item.name.copy(block, nameAt)
    nameAt += item.name.length
  })
  return block
}

function typeBits(entry: Entry): number {
  return entry.kind === 'dir' ? F.S_IFDIR : entry.kind === 'file' ? F.S_IFREG : F.S_IFLNK
}

function direntType(entry: Entry): number {
  return entry.kind === 'dir' ? F.FT_DIRECTORY : entry.kind === 'file' ? F.FT_REGULAR : F.FT_SYMLINK
}

/** A sink that fills a file from its start; a full disk is one clear error. */
export function fileSink(fd: number, path: string, write: (fd: number, piece: Uint8Array) => number): Sink {
  return (piece) => {
    let done = 0
    while (done < piece.length) {
      try {
        done += write(fd, piece.subarray(done))
      } catch (error) {
        throw new ImageError('host-io', `${path} cannot be written: ${errnoOf(error)}`, {
          hint: 'free some space, or set AUTHORITY_HOME to a larger disk',
          cause: error,
        })
      }
    }
  }
}
