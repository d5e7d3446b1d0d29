import { posix } from 'node:path'
import type { Arch, ByteSource } from '../elf.ts'
import { readElf } from '../elf.ts'
import type { Content } from '../entries.ts'
import { ImageError } from '../errors.ts'
import { type LibrarySource, trustedDirs } from '../libraries.ts'
import type { BuildTools } from '../sdk-files.ts'
import { lookup, mergeLayers } from '../tree.ts'
import { debianLayer } from './debian-layer.ts'

/** What programs for another machine may be linked against: the C and C++ run-time libraries, and zlib. */
const PACKAGES = ['libc6', 'libgcc-s1', 'libstdc++6', 'zlib1g'] as const

/** Debian's run-time libraries of another architecture as a place to take a program's libraries from. */
export async function debianLibraries(
  arch: Arch,
  tools: BuildTools,
): Promise<{ readonly source: LibrarySource; readonly packages: readonly string[]; close(): void }> {
  const made = await debianLayer('libraries', PACKAGES, arch, tools)
  const tree = mergeLayers([made.layer])
  const source: LibrarySource = {
    name: `Debian (${PACKAGES.join(', ')} for ${arch})`,
    searchDirs: (interpreter) => trustedDirs(interpreter, arch),
    find: (path, machine) => {
      const entry = lookup(tree, posix.normalize(path))?.entry
      if (entry?.kind !== 'file') return undefined
      try {
        const elf = readElf(byteSource(path, entry.content))
        return elf.machine === machine ? { elf, content: entry.content, mtime: entry.mtime } : undefined
      } catch (error) {
        if (error instanceof ImageError && error.fault === 'not-executable') return undefined
        throw error
      }
    },
  }
  return { source, packages: made.packages, close: made.close }
}

/** Libraries are a few MB at most: held whole while they are looked at. */
function byteSource(name: string, content: Content): ByteSource {
  let bytes: Buffer | undefined
  return {
    name,
    size: content.size,
    read: (offset, length) => {
      bytes ??= Buffer.concat([...content.chunks()])
      return bytes.subarray(offset, offset + length)
    },
  }
}
