import { join } from 'node:path'
import { ImageCache } from '../cache.ts'
import { imageEntries } from '../image-file.ts'
import type { PlannedLayer } from '../plan.ts'
import type { TreeNode } from '../tree.ts'

/** Layers of a runtime, kept open until the image that shares them is written. */
export interface RuntimeLayers {
  readonly layers: readonly PlannedLayer[]
  /** Debian packages as `name=version`, sorted. */
  readonly packages: readonly string[]
  close(): void
}

/** A layer that is the same for many images: made once, kept as an erofs image in HOME/cache/layers. */
export async function cachedLayer(
  name: string,
  key: string,
  cacheDir: string,
  make: (store: (root: TreeNode) => void) => void | Promise<void>,
): Promise<{ readonly layer: PlannedLayer; close(): void }> {
  const image = await new ImageCache(join(cacheDir, 'layers')).ensure(key, make)
  return { layer: { name, digest: image.sha256, entries: { [Symbol.iterator]: () => imageEntries(image.reader) } }, close: image.close }
}
