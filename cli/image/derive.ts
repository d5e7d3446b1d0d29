import { join } from 'node:path'
import { cacheKey, ImageCache } from './cache.ts'
import { dirEntry, type Entry, fileEntry } from './entries.ts'
import { ImageError } from './errors.ts'
import { imageEntries, type OpenImage } from './image-file.ts'
import { lookup, mergeLayers } from './tree.ts'

/**
 * An image whose mount points exist: the image itself when it has them all, else a copy with the missing directories and empty files, from the cache when it
 * was made before (same image and paths, same bytes). Closes `image` when it gives another back. Paths are absolute guest paths in normal form.
 * Throws ImageError `bad-input` when a path leads through a file, or names a file where a folder is to be mounted or the other way round.
 */
export async function withMountPoints(
  image: OpenImage,
  paths: { readonly folders: readonly string[]; readonly files: readonly string[] },
  cacheDir: string,
): Promise<OpenImage> {
  const tree = mergeLayers([{ name: 'image', entries: imageEntries(image.reader) }])
  const find = (kind: 'dir' | 'file', all: readonly string[]): string[] =>
    [...new Set(all)].sort().filter((path) => {
      const found = lookup(tree, path)?.entry.kind
      if (found === undefined || found === kind) return found === undefined
      const [there, given] = kind === 'dir' ? ['file', 'folder'] : ['folder', 'file']
      throw new ImageError(
        'bad-input',
        `no ${given} can be mounted at ${path}: it is a ${found === 'symlink' ? 'link' : there} in the image`,
        {
          hint: `choose another guest path, for example ${kind === 'dir' ? '/workspace' : `${path}/${given}`}`,
        },
      )
    })
  const [folders, files] = [find('dir', paths.folders), find('file', paths.files)]
  if (folders.length + files.length === 0) return image
  const entries: Entry[] = [...folders.map((path) => dirEntry(path)), ...files.map((path) => fileEntry(path, '', 0o444))]
  const key = cacheKey('mount points', image.sha256, ...folders, 'files', ...files)
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
