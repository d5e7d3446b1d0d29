import { chmodSync, closeSync, mkdirSync, openSync, symlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type TreeNode, treeEntries } from '../tree.ts'

/**
 * Writes a merged tree into an empty folder of ours. Safe for any tree: its paths are in normal form and its parents are real directories, so nothing
 * is written through a symlink. Owners and times are not kept.
 */
export function extract(root: TreeNode, into: string): void {
  for (const entry of treeEntries(root)) {
    const path = join(into, entry.path)
    if (entry.kind === 'dir') mkdirSync(path, { recursive: true, mode: 0o755 })
    else if (entry.kind === 'symlink') symlinkSync(entry.target, path)
    else {
      const fd = openSync(path, 'wx', 0o644)
      try {
        for (const piece of entry.content.chunks()) for (let done = 0; done < piece.length; ) done += writeSync(fd, piece, done)
      } finally {
        closeSync(fd)
      }
      chmodSync(path, entry.mode & 0o755)
    }
  }
}
