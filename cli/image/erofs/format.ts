/**
 * The on-disk format of erofs as far as Authority writes and reads it: uncompressed, 4 KiB blocks, no xattrs, no extra devices.
 * Source: Linux Documentation/filesystems/erofs.rst and the field layout of its on-disk structures. All numbers little-endian.
 */

export const BLOCK = 4096
export const BLOCK_BITS = 12
export const SUPERBLOCK_OFFSET = 1024
export const SUPERBLOCK_BYTES = 128
export const MAGIC = 0xe0f5e1e2
/** Unit in which inode numbers ("nid") count bytes from the start of the metadata area. */
export const NID_BYTES = 32
export const COMPACT_INODE_BYTES = 32
export const EXTENDED_INODE_BYTES = 64
export const DIRENT_BYTES = 12
/** The superblock carries a CRC32C. */
export const COMPAT_CHECKSUM = 0x1
/** The superblock's build time stands for the mtime of compact inodes. */
export const COMPAT_MTIME = 0x2
export const LAYOUT_PLAIN = 0
/** The last partial block lies behind the inode, in the same block. */
export const LAYOUT_INLINE = 2

export const S_IFMT = 0o170000
export const S_IFREG = 0o100000
export const S_IFDIR = 0o040000
export const S_IFLNK = 0o120000

/** Directory entry types. */
export const FT_REGULAR = 1
export const FT_DIRECTORY = 2
export const FT_SYMLINK = 7

export function blocksOf(bytes: number): number {
  return Math.ceil(bytes / BLOCK)
}

let table: Uint32Array | undefined

function crcTable(): Uint32Array {
  if (table !== undefined) return table
  table = new Uint32Array(256)
  for (let i = 0; i < 256; i++) {
    let crc = i
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
    table[i] = crc
  }
  return table
}

/** CRC32C (Castagnoli) with seed ~0 and no final inversion, as erofs stores it. */
export function crc32c(bytes: Uint8Array): number {
  const lookup = crcTable()
  let crc = 0xffffffff
  for (const byte of bytes) crc = (lookup[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8)
  return crc >>> 0
}
