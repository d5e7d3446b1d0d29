import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type DebianPackageSet, openDebian } from '../../debian/index.ts'
import { cacheKey } from '../cache.ts'
import type { Arch } from '../elf.ts'
import type { Entry } from '../entries.ts'
import type { PlannedLayer } from '../plan.ts'
import type { BuildTools } from '../sdk-files.ts'
import { mergeLayers } from '../tree.ts'
import { cachedLayer } from './cached-layer.ts'
import { debEntries } from './deb-entries.ts'
import { skeletonEntries } from './skeleton.ts'

export interface DebianLayer {
  readonly layer: PlannedLayer
  /** `name=version`, sorted. */
  readonly packages: readonly string[]
  close(): void
}

/** What is added to the unpacked packages before they become a layer: byte code, links that maintainer scripts would make. */
export type Finish = (unpacked: string, set: DebianPackageSet, entries: readonly Entry[]) => Promise<readonly Entry[]>

/**
 * Debian packages and everything they depend on, as one layer: resolved and fetched by apt in a private root, unpacked without running a line of
 * them, trimmed of documentation. The resolved set decides the cache key, so an update of Debian gives a new layer.
 */
export async function debianLayer(
  name: string,
  packages: readonly string[],
  arch: Arch,
  tools: BuildTools,
  recipe = 'plain',
  finish?: Finish,
): Promise<DebianLayer> {
  const debian = await openDebian(join(tools.cacheDir, 'debian'), arch === 'x86_64' ? 'amd64' : 'arm64', (progress) =>
    tools.onStep?.({ what: progress.what, percent: progress.percent, ...(progress.bytes === null ? {} : { bytes: progress.bytes }) }),
  )
  const set = await debian.resolve(packages)
  const versions = set.packages.map((each) => `${each.name}=${each.version}`).sort()
  const key = cacheKey('debian layer', name, recipe, arch, ...versions)
  const { layer, close } = await cachedLayer(name, key, tools.cacheDir, async (store) => {
    const work = mkdtempSync(join(tools.cacheDir, 'unpack-'))
    try {
      await debian.unpack(set, work)
      const entries = [...debEntries(work)]
      const more = finish === undefined ? [] : await finish(work, set, entries)
      // the skeleton's merged /usr first, so that a package's /lib/x lands in /usr/lib/x as on a real system
      store(
        mergeLayers([
          { name: 'skeleton', entries: skeletonLinks(arch) },
          { name, entries },
          { name: `${name} (finished)`, entries: more },
        ]),
      )
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  })
  return { layer, packages: versions, close }
}

/** Only the merged /usr of the skeleton. */
function* skeletonLinks(arch: Arch): Generator<Entry> {
  for (const entry of skeletonEntries(arch)) if (entry.kind === 'symlink' || entry.path.startsWith('/usr')) yield entry
}
