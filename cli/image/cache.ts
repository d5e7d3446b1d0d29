import { createHash } from 'node:crypto'
import { readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Entry } from './entries.ts'
import { errnoOf, ImageError } from './errors.ts'
import { type ImageFile, type OpenImage, openChecked, writeAtomically, writeImageFile } from './image-file.ts'
import { MAX_MANIFEST_BYTES } from './limits.ts'
import { type TreeNode, treeEntries } from './tree.ts'

/** Part of every key: raised when the same inputs should give other bytes. */
const CACHE_FORMAT = 1

/** A key for a cache out of everything that decides the result. */
export function cacheKey(kind: string, ...parts: readonly string[]): string {
  const hash = createHash('sha256').update(`authority-cache ${CACHE_FORMAT} ${kind}\n`)
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:${part}\n`)
  return hash.digest('hex')
}

/** What a tree's image would be made of, without reading its large files: same key, same image. */
export function treeKey(root: TreeNode): string {
  const hash = createHash('sha256').update(`authority-tree ${CACHE_FORMAT}\n`)
  for (const entry of treeEntries(root)) hash.update(`${JSON.stringify(entryFacts(entry))}\n`)
  return hash.digest('hex')
}

function entryFacts(entry: Entry): readonly (string | number)[] {
  const last = entry.kind === 'file' ? entry.content.fingerprint() : entry.kind === 'symlink' ? entry.target : ''
  return [entry.kind, entry.path, entry.mode, entry.uid, entry.gid, entry.mtime.seconds, entry.mtime.nanos, last]
}

/**
 * Images by key in one folder: runtime layers, programs built by `run ./x`, derived images. Everything here can be made again, so whatever
 * does not hold (a missing half, another size, another digest) counts as absent and is made again.
 */
export class ImageCache {
  private readonly dir: string

  constructor(dir: string) {
    this.dir = dir
  }

  /** The image of a key, open and its digest checked, or undefined. */
  open(key: string): OpenImage | undefined {
    const facts = this.facts(key)
    if (facts === undefined) return undefined
    try {
      return openChecked({ path: this.path(key), ...facts })
    } catch (error) {
      if (!(error instanceof ImageError) || error.fault === 'host-io') throw error
      rmSync(join(this.dir, `${key}.json`), { force: true })
      return undefined
    }
  }

  /** Stores a tree under a key. The image comes first, then what vouches for it. */
  put(key: string, root: TreeNode): ImageFile {
    const file = writeImageFile(this.path(key), root)
    const json = `${JSON.stringify({ version: CACHE_FORMAT, key, sha256: file.sha256, size: file.size })}\n`
    writeAtomically(join(this.dir, `${key}.json`), (fd) => writeSync(fd, json))
    return file
  }

  /** The image of a key; when absent, `make` is asked to store a tree, and may clean up what its contents come from once `store` returned. */
  async ensure(key: string, make: (store: (root: TreeNode) => void) => void | Promise<void>): Promise<OpenImage> {
    const there = this.open(key)
    if (there !== undefined) return there
    let made: ImageFile | undefined
    await make((root) => {
      made = this.put(key, root)
    })
    if (made === undefined) throw new ImageError('bad-input', 'nothing was stored in the cache')
    return openChecked(made)
  }

  private path(key: string): string {
    if (!/^[0-9a-f]{64}$/.test(key)) throw new ImageError('bad-input', 'not a cache key')
    return join(this.dir, `${key}.erofs`)
  }

  private facts(key: string): { readonly sha256: string; readonly size: number } | undefined {
    let text: string
    try {
      text = readFileSync(join(this.dir, `${key}.json`), 'utf8')
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw new ImageError('host-io', `the cache ${this.dir} cannot be read: ${errnoOf(error)}`, { cause: error })
    }
    if (text.length > MAX_MANIFEST_BYTES) return undefined
    try {
      const facts = JSON.parse(text) as { version?: unknown; key?: unknown; sha256?: unknown; size?: unknown }
      const { sha256, size } = facts
      if (facts.version !== CACHE_FORMAT || facts.key !== key || typeof sha256 !== 'string' || typeof size !== 'number') return undefined
      return { sha256, size }
    } catch {
      return undefined
    }
  }
}
