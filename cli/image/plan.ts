import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import { libraryClosure } from './closure.ts'
import type { Arch, Elf } from './elf.ts'
import { type Entry, fileEntry, hostFile, symlinkEntry } from './entries.ts'
import { ImageError } from './errors.ts'
import { folderEntries, SKIPPED_NAMES } from './host-folder.ts'
import { bunLayers } from './layers/bun.ts'
import { bundle } from './layers/bundle.ts'
import { debianLibraries } from './layers/debian-libraries.ts'
import { pythonLayers } from './layers/python.ts'
import { hostLibraries } from './libraries.ts'
import { detectProgram, type Program } from './program.ts'
import type { BuildTools } from './sdk-files.ts'

/** A layer with the digest of what it is made of. */
export interface PlannedLayer {
  readonly name: string
  readonly entries: Iterable<Entry>
  readonly digest: string
}

/** How a program becomes a machine: its layers on top of the skeleton, and how it is started. */
export interface Plan {
  readonly program: Program
  readonly arch: Arch
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly profiles: readonly string[]
  readonly layers: readonly PlannedLayer[]
  readonly packages: readonly string[]
  /** Gives back the descriptors of cached layers. */
  close(): void
}

/** Where programs live in an image. */
export const APP_DIR = '/app'
const BASE_ENV: Readonly<Record<string, string>> = {
  PATH: '/usr/local/bin:/usr/bin:/bin',
  HOME: '/home/agent',
  USER: 'agent',
  LANG: 'C.UTF-8',
  TMPDIR: '/tmp',
}

/** This machine's architecture, as Authority names it. Throws ImageError `unavailable` on others. */
export function hostArch(): Arch {
  if (process.arch === 'x64') return 'x86_64'
  if (process.arch === 'arm64') return 'aarch64'
  throw new ImageError('unavailable', `Authority does not run on ${process.arch}`)
}

/** Looks at a program and decides. `arch` undefined: the program's own, else this machine's. */
export async function planProgram(path: string, arch: Arch | undefined, tools: BuildTools): Promise<Plan> {
  const program = detectProgram(path)
  switch (program.kind) {
    case 'static':
    case 'dynamic':
      return planElf(program, arch, tools)
    case 'python':
      return planPython(program, arch ?? hostArch(), tools)
    case 'typescript':
      return planTypescript(program, arch ?? hostArch(), tools)
  }
}

async function planElf(program: Program & { readonly elf: Elf }, asked: Arch | undefined, tools: BuildTools): Promise<Plan> {
  const { elf, path } = program
  const arch = asked ?? elf.machine
  if (elf.machine !== arch)
    throw new ImageError('not-executable', `${path} is a program for ${elf.machine}, and the image is for ${arch}`, {
      hint: `build it for ${arch}, or give --arch ${elf.machine}`,
    })
  const file = hostFile(path)
  const at = `${APP_DIR}/${basename(path)}`
  const app = layer('app', [fileEntry(at, file.content, 0o755, file.mtime)])
  const base = { program, arch, argv: [at], env: BASE_ENV, cwd: APP_DIR }
  if (program.kind === 'static') return { ...base, profiles: ['tier1-musl'], layers: [app], packages: [], close: () => undefined }
  const libraries =
    arch === hostArch() && process.platform === 'linux'
      ? { source: hostLibraries(arch), packages: [], close: () => undefined }
      : await debianLibraries(arch, tools)
  try {
    const closure = libraryClosure({ path, elf, guestDir: APP_DIR }, libraries.source)
    return {
      ...base,
      profiles: ['tier2-glibc'],
      layers: [layer('libraries', closure.entries), app],
      packages: libraries.packages,
      close: libraries.close,
    }
  } catch (error) {
    libraries.close()
    throw error
  }
}

async function planPython(
  program: Program & { readonly folder: boolean; readonly entry: string },
  arch: Arch,
  tools: BuildTools,
): Promise<Plan> {
  const { path, folder, entry } = program
  const at = folder && entry === '__main__.py' ? APP_DIR : `${APP_DIR}/${entry}`
  const app = layer(
    'app',
    folder ? [...folderEntries(path, APP_DIR, { skip: SKIPPED_NAMES, what: 'the program folder' })] : singleFile(path, entry),
  )
  const runtime = await pythonLayers(arch, tools)
  return {
    program,
    arch,
    argv: ['/usr/bin/python3', at],
    // byte code cannot be written into a read-only image; a pipe must not hold an agent's words back until it ends
    env: { ...BASE_ENV, PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1', PYTHONNOUSERSITE: '1' },
    cwd: APP_DIR,
    profiles: ['python'],
    layers: [...runtime.layers, app],
    packages: runtime.packages,
    close: runtime.close,
  }
}

async function planTypescript(
  program: Program & { readonly folder: boolean; readonly entry: string },
  arch: Arch,
  tools: BuildTools,
): Promise<Plan> {
  const bundled = await bundle(program, hostArch(), tools)
  const runtime = await bunLayers(arch, tools)
  return {
    program,
    arch,
    argv: ['/usr/bin/bun', 'run', '--no-install', `${APP_DIR}/${bundled.main}`],
    env: { ...BASE_ENV, BUN_BE_BUN: '1', BUN_RUNTIME_TRANSPILER_CACHE_PATH: '0', DO_NOT_TRACK: '1' },
    cwd: APP_DIR,
    profiles: ['bun'],
    layers: [...runtime.layers, layer('app', [...bundled.entries, ...sdkModule(tools)])],
    packages: [],
    close: runtime.close,
  }
}

/** The SDK where Bun finds it from /app: under both of its names. */
function sdkModule(tools: BuildTools): readonly Entry[] {
  const modules = `${APP_DIR}/node_modules`
  const json = (name: string) => `${JSON.stringify({ name, version: tools.version, type: 'module', exports: { '.': './index.js' } })}\n`
  return [
    fileEntry(`${modules}/@authority/sdk/package.json`, json('@authority/sdk')),
    fileEntry(`${modules}/@authority/sdk/index.js`, tools.sdk.typescript),
    symlinkEntry(`${modules}/authority`, '@authority/sdk'),
  ]
}

function singleFile(path: string, name: string): readonly Entry[] {
  const file = hostFile(path)
  return [fileEntry(`${APP_DIR}/${name}`, file.content, (file.mode & 0o111) !== 0 ? 0o755 : 0o644, file.mtime)]
}

/** A layer of entries that are at hand, with the digest of their content: nothing of this machine goes into it. */
export function layer(name: string, entries: readonly Entry[]): PlannedLayer {
  const hash = createHash('sha256')
  for (const entry of entries) {
    const { kind, path, mode, mtime } = entry
    hash.update(
      `${JSON.stringify([kind, path, mode, mtime.seconds, mtime.nanos, kind === 'symlink' ? entry.target : kind === 'file' ? entry.content.size : 0])}\n`,
    )
    if (entry.kind === 'file') for (const piece of entry.content.chunks()) hash.update(piece)
  }
  return { name, entries, digest: hash.digest('hex') }
}
