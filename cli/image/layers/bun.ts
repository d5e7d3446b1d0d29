import { realpathSync } from 'node:fs'
import { libraryClosure } from '../closure.ts'
import { type Arch, readElf } from '../elf.ts'
import { dirEntry, fileEntry, hostFile, symlinkEntry } from '../entries.ts'
import { ImageError } from '../errors.ts'
import { hostLibraries } from '../libraries.ts'
import { layer } from '../plan.ts'
import { withFile } from '../program.ts'
import type { BuildTools } from '../sdk-files.ts'
import type { RuntimeLayers } from './cached-layer.ts'
import { debianLibraries } from './debian-libraries.ts'

/** Where the runtime lies in the image; its libraries lie where its loader looks. */
const BUN_PATH = '/usr/bin/bun'

/**
 * The Bun runtime as a layer: this program's own executable (which is Bun when BUN_BE_BUN=1 is set) and the libraries it needs, from this
 * host or, for another architecture, from Debian. Throws ImageError `unavailable` without an executable for that architecture.
 */
export async function bunLayers(arch: Arch, tools: BuildTools): Promise<RuntimeLayers> {
  const given = tools.bun[arch]
  if (given === undefined)
    throw new ImageError('unavailable', `there is no Bun runtime for ${arch} here, so a TypeScript image for ${arch} cannot be built`, {
      hint: `build it on a ${arch} machine, or write the agent in Python`,
    })
  const path = realpathSync(given)
  const elf = withFile(path, readElf)
  if (elf.machine !== arch) throw new ImageError('bad-input', `${path} is a program for ${elf.machine}, not for ${arch}`)
  const file = hostFile(path)
  const libraries =
    process.platform === 'linux' && arch === (process.arch === 'x64' ? 'x86_64' : 'aarch64')
      ? { source: hostLibraries(arch), packages: [], close: () => undefined }
      : await debianLibraries(arch, tools)
  try {
    const closure = libraryClosure({ path, elf, guestDir: '/usr/bin' }, libraries.source)
    // one fixed time: the executable's own says when it was installed here, not what it is
    const entries = [dirEntry('/usr/bin'), fileEntry(BUN_PATH, file.content, 0o755), symlinkEntry('/usr/bin/node', 'bun')]
    return { layers: [layer('libraries', closure.entries), layer('bun', entries)], packages: libraries.packages, close: libraries.close }
  } catch (error) {
    libraries.close()
    throw error
  }
}
