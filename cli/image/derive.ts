import { join } from 'node:path'
import { cacheKey, ImageCache } from './cache.ts'
import { dirEntry, type Entry } from './entries.ts'
import { ImageError } from './errors.ts'
import { imageEntries, type OpenImage } from './image-file.ts'
import { lookup, mergeLayers } from './tree.ts'

/**
 * An image whose mount points exist: the image itself when it has them all, else a copy with the missing directories, from the cache when it was made
 * before (same image and paths, same bytes). Closes `image` when it gives another back. Paths are absolute guest paths in normal form.
 * Throws ImageError `bad-input` when a path leads through a file.
 */
export async function withMountPoints(image: OpenImage, paths: readonly string[], cacheDir: string): Promise<OpenImage> {
  const tree = mergeLayers([{ name: 'image', entries: imageEntries(image.reader) }])
  const missing: string[] = []
  for (const path of [...new Set(paths)].sort()) {
    const found = lookup(tree, path)
    if (found === undefined) missing.push(path)
    else if (found.entry.kind !== 'dir')
      throw new ImageError('bad-input', `nothing can be mounted at ${path}: it is a file in the image`, {
        hint: 'choose another guest path, for example /workspace',
      })
  }
  if (missing.length === 0) return image
  const entries: Entry[] = missing.map((path) => dirEntry(path))
  const key = cacheKey('mount points', image.sha256, ...missing)
  const derived = await new ImageCache(join(cacheDir, 'derived')).ensure(key, (store) =>
    store(
      mergeLayers([
        { name: 'image', entries: imageEntries(image.reader) },
        { name: 'mount points', entries },
      ]),
    ),
  )
  image.close()
  return derived
}
