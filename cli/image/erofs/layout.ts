import { bytesContent, type Content, type Entry } from '../entries.ts'
import { ImageError } from '../errors.ts'
import { MAX_IMAGE_BYTES } from '../limits.ts'
import type { TreeNode } from '../tree.ts'
import { BLOCK, blocksOf, DIRENT_BYTES, EXTENDED_INODE_BYTES, NID_BYTES } from './format.ts'

/** One inode with its place in the image. */
export interface PlacedInode {
  readonly entry: Entry
  /** 1, 2, 3 … in tree order: what stat shows where inode numbers are 32 bits. */
  readonly ino: number
  readonly nlink: number
  /** Bytes of the data: file content, symlink target or directory blocks. */
  readonly size: number
  /** Bytes of the data that lie behind the inode; 0: none. */
  readonly inline: number
  /** Byte offset of the inode. */
  offset: number
  /** First block of the data that is not inline; 0 when there is none. */
  block: number
  /** For directories: self, parent and children as they appear in it, in byte order of the names, cut into blocks. */
  readonly dir: DirBlocks | undefined
}

export type DirBlocks = readonly (readonly DirItem[])[]
export interface DirItem {
  readonly name: Buffer
  readonly node: TreeNode
}

export interface Layout {
  /** In order of `offset`'s assignment: the root first. */
  readonly inodes: readonly PlacedInode[]
  readonly byNode: ReadonlyMap<TreeNode, PlacedInode>
  /** Bytes before the first data block: superblock block and metadata. */
  readonly metaBytes: number
  /** Blocks of the whole image. */
  readonly blocks: number
}

/** Space kept open in metadata blocks: a tail goes behind the inode only where both fit into one block. */
const OPEN_BLOCKS = 16

/** Decides where everything lies, before a byte is written. The order is the tree's, so the same tree gives the same layout. */
export function layOut(root: TreeNode): Layout {
  const inodes: PlacedInode[] = []
  const byNode = new Map<TreeNode, PlacedInode>()
  const stack: { node: TreeNode; parent: TreeNode }[] = [{ node: root, parent: root }]
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { node } = top
    const placed = inodeOf(node, top.parent, inodes.length + 1)
    inodes.push(placed)
    byNode.set(node, placed)
    stack.push(...[...node.children.values()].reverse().map((child) => ({ node: child, parent: node })))
  }
  const metaBytes = placeMetadata(inodes)
  const blocks = placeData(inodes, metaBytes / BLOCK)
  if (blocks * BLOCK > MAX_IMAGE_BYTES) throw new ImageError('too-big', `the image would be larger than ${MAX_IMAGE_BYTES} bytes`)
  return { inodes, byNode, metaBytes, blocks }
}

function inodeOf(node: TreeNode, parent: TreeNode, ino: number): PlacedInode {
  const { entry } = node
  if (entry.kind === 'dir') {
    const dir = cutDirectory(node, parent)
    const size = (dir.length - 1) * BLOCK + blockUse(dir[dir.length - 1] ?? [])
    const subdirs = [...node.children.values()].filter((child) => child.entry.kind === 'dir').length
    return { entry, ino, nlink: 2 + subdirs, size, inline: fits(size % BLOCK) ? size % BLOCK : 0, offset: 0, block: 0, dir }
  }
  const size = entry.kind === 'file' ? entry.content.size : Buffer.byteLength(entry.target)
  return { entry, ino, nlink: 1, size, inline: fits(size) ? size : 0, offset: 0, block: 0, dir: undefined }
}

/** Small files lie behind their inode whole. Tails of larger ones do not: a file would have to be read twice, and might have changed between. */
function fits(bytes: number): boolean {
  return bytes <= BLOCK - EXTENDED_INODE_BYTES
}

/** A directory's entries in blocks: erofs searches blocks and names by halving, so both must be in byte order, `.` and `..` among them. */
function cutDirectory(node: TreeNode, parent: TreeNode): DirBlocks {
  const items: DirItem[] = [...node.children].map(([name, child]) => ({ name: Buffer.from(name), node: child }))
  items.push({ name: Buffer.from('.'), node }, { name: Buffer.from('..'), node: parent })
  items.sort((a, b) => Buffer.compare(a.name, b.name))
  const blocks: DirItem[][] = []
  let current: DirItem[] = []
  let used = 0
  for (const item of items) {
    const need = DIRENT_BYTES + item.name.length
    if (used + need > BLOCK) {
      blocks.push(current)
      current = []
      used = 0
    }
    current.push(item)
    used += need
  }
  blocks.push(current)
  return blocks
}

export function blockUse(items: readonly DirItem[]): number {
  return items.reduce((sum, item) => sum + DIRENT_BYTES + item.name.length, 0)
}

/** Gives each inode its offset; returns the metadata's end, a multiple of BLOCK. Block 0 holds the superblock alone. */
function placeMetadata(inodes: readonly PlacedInode[]): number {
  let end = BLOCK
  // blocks with room, oldest first: `at` is where the next inode may start
  const open: { at: number; end: number }[] = []
  for (const inode of inodes) {
    const need = EXTENDED_INODE_BYTES + inode.inline
    let slot = open.find((candidate) => candidate.end - candidate.at >= need)
    if (slot === undefined) {
      slot = { at: end, end: end + BLOCK }
      end += BLOCK
      open.push(slot)
      if (open.length > OPEN_BLOCKS) open.shift()
    }
    inode.offset = slot.at
    slot.at = Math.ceil((slot.at + need) / NID_BYTES) * NID_BYTES
  }
  return end
}

/** Directories' blocks first, so that walking a tree reads one region; then files in tree order. Returns the number of blocks. */
function placeData(inodes: readonly PlacedInode[], first: number): number {
  let next = first
  const place = (inode: PlacedInode) => {
    const blocks = blocksOf(inode.size - inode.inline)
    if (blocks === 0) return
    inode.block = next
    next += blocks
  }
  for (const inode of inodes) if (inode.dir !== undefined) place(inode)
  for (const inode of inodes) if (inode.dir === undefined) place(inode)
  return next
}

/** The content of a file or symlink. */
export function contentOf(entry: Entry): Content {
  if (entry.kind === 'file') return entry.content
  return bytesContent(entry.kind === 'symlink' ? Buffer.from(entry.target) : Buffer.alloc(0))
}
