import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { AuthorityError } from '@authority/protocol'
import { findProgram, runProgram } from '../process/run-program.ts'
import type { MachineArch } from './qemu.ts'
import { writeAtomically } from './store.ts'

/** Adapter: finds QEMU and every file it needs in its cell. Asking QEMU costs ~80 ms, so the answer is kept until the binary or a file changes. */

export interface CellFile {
  /** Real path on the host, no symbolic link. */
  readonly source: string
  /** Where it stands in the cell. */
  readonly target: string
}

export interface QemuBinary {
  readonly arch: MachineArch
  /** Real path of the program. */
  readonly path: string
  /** e.g. `7.2.22` */
  readonly version: string
  /** Program, loader, shared libraries, accelerator modules, firmware. */
  readonly files: readonly CellFile[]
  /** Firmware folders in the cell, for -L. */
  readonly firmware: readonly string[]
}

const PACKAGE: Readonly<Record<MachineArch, string>> = { x86_64: 'qemu-system-x86', aarch64: 'qemu-system-arm' }

/** Oldest QEMU whose options we use. */
const MIN_VERSION = 7

/** Throws E_NOT_FOUND with the exact command to install it, E_UNSUPPORTED when it is too old. */
export async function locateQemu(arch: MachineArch, cacheFolder: string): Promise<QemuBinary> {
  const found = findProgram(`qemu-system-${arch}`)
  if (found === null) {
    throw new AuthorityError('E_NOT_FOUND', `QEMU for ${arch} is not installed (no qemu-system-${arch} in PATH)`, {
      hint: process.platform === 'darwin' ? 'brew install qemu' : `sudo apt-get install --no-install-recommends ${PACKAGE[arch]}`,
    })
  }
  const path = realpathSync(found)
  const key = stampOf(path)
  const cacheFile = join(cacheFolder, `qemu-${arch}.json`)
  const cached = readCached(cacheFile, key)
  if (cached !== null) return cached
  const fresh = await inspect(arch, path)
  mkdirSync(cacheFolder, { recursive: true, mode: 0o700 })
  writeAtomically(cacheFile, new TextEncoder().encode(JSON.stringify({ format: FORMAT, key, qemu: fresh })), 0o600)
  return fresh
}

const FORMAT = 1

function stampOf(path: string): string {
  const st = statSync(path)
  return `${path} ${st.size} ${st.mtimeMs} ${st.ino}`
}

function readCached(file: string, key: string): QemuBinary | null {
  try {
    const saved = JSON.parse(readFileSync(file, 'utf8')) as { format: number; key: string; qemu: QemuBinary }
    // A library upgrade renames files: then everything is asked again.
    return saved.format === FORMAT && saved.key === key && saved.qemu.files.every((entry) => existsSync(entry.source)) ? saved.qemu : null
  } catch {
    return null
  }
}

async function inspect(arch: MachineArch, path: string): Promise<QemuBinary> {
  const text = async (...args: string[]) => new TextDecoder().decode((await runProgram([path, ...args])).stdout)
  const version = /version (\d+)\.(\d+)(?:\.(\d+))?/.exec(await text('--version'))
  if (version === null)
    throw new AuthorityError('E_UNSUPPORTED', `${path} does not say its version`, {
      hint: `reinstall it: sudo apt-get install --reinstall ${PACKAGE[arch]}`,
    })
  if (Number(version[1]) < MIN_VERSION)
    throw new AuthorityError('E_UNSUPPORTED', `QEMU ${version[0]} is too old`, {
      hint: `QEMU ${MIN_VERSION}.0 or newer is needed: Debian 12 or Ubuntu 22.10 have it`,
    })
  const libraries = process.platform === 'linux' ? await sharedLibraries(path) : []
  const folders = (await text('-L', 'help')).split('\n').filter((line) => line.startsWith('/') && existsSync(line))
  const firmware = [...new Set(folders.map((folder) => realpathSync(folder)))]
  const files = [
    { source: path, target: path },
    ...libraries,
    ...acceleratorModules(arch, libraries),
    ...firmware.map((folder) => ({ source: folder, target: folder })),
  ]
  return { arch, path, version: version[0].slice('version '.length), files, firmware }
}

/** As the dynamic loader itself resolves them (ld.so(8), LD_TRACE_LOADED_OBJECTS). */
async function sharedLibraries(path: string): Promise<CellFile[]> {
  const listing = new TextDecoder().decode((await runProgram([path], { env: { LD_TRACE_LOADED_OBJECTS: '1' } })).stdout)
  const found = new Set<string>()
  for (const line of listing.split('\n')) {
    const library = /(?:=>\s+)?(\/\S+)\s+\(0x[0-9a-f]+\)\s*$/.exec(line)?.[1]
    if (library !== undefined) found.add(library)
  }
  if (found.size === 0)
    throw new AuthorityError('E_UNSUPPORTED', `the libraries of ${path} cannot be listed`, {
      hint: 'authority needs QEMU as a dynamically linked Linux program, not a script around it',
    })
  return [...found].map((target) => ({ source: realpathSync(target), target }))
}

/** Distributions ship tcg as a loadable module in the `qemu` folder beside the libraries. */
function acceleratorModules(arch: MachineArch, libraries: readonly CellFile[]): CellFile[] {
  const folders = new Set(libraries.flatMap(({ source }) => [join(dirname(source), 'qemu'), join(dirname(source), '..', 'qemu')]))
  const found = new Map<string, CellFile>()
  for (const folder of folders) {
    if (!existsSync(folder)) continue
    for (const name of readdirSync(folder)) {
      if (!name.startsWith('accel-') || !name.endsWith(`-${arch}.so`)) continue
      const source = realpathSync(join(folder, name))
      found.set(source, { source, target: source })
    }
  }
  return [...found.values()]
}
