import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { AuthorityError } from '@authority/protocol'
import { type AptRoot, type DebianPackage, openFreshApt, unpackDeb } from '../debian/index.ts'
import { decompress } from './decompress.ts'
import { DEBIAN_ARCH, KERNEL_FORMAT, type KernelManifest, type KernelOptions } from './kernel.ts'
import { MAX_KERNEL_BYTES, MAX_MODULE_BYTES } from './limits.ts'
import { builtinNames, type PackageModule, type PickedModule, pickModules, WANTED_MODULES } from './modules.ts'
import type { MachineArch } from './qemu.ts'
import { sha256, writeAtomically } from './store.ts'
import { bzImagePayload, type Compression, hasPvhEntry } from './vmlinux.ts'

/** Adapter: Debian's cloud kernel out of its package into a folder ready for the cache. */

/** Fetches and unpacks in `scratch` (ours, thrown away by the caller); answers a finished folder inside it. The cache folder keeps the package lists. */
export async function fetchStockKernel(
  scratch: string,
  { cacheFolder, arch, metapackage, moreModules = [], onProgress = () => {} }: KernelOptions,
): Promise<{ folder: string; manifest: KernelManifest }> {
  const debArch = DEBIAN_ARCH[arch]
  const apt = await openFreshApt(join(cacheFolder, 'debian'), debArch, onProgress)
  const deb = await newestKernel(apt, metapackage ?? `linux-image-cloud-${debArch}`)
  const unpacked = join(scratch, 'package')
  mkdirSync(unpacked, { mode: 0o700 })
  await unpackDeb(await apt.download(deb, scratch, onProgress), unpacked)
  return makeEntry(unpacked, join(scratch, 'entry'), arch, deb, [...WANTED_MODULES[arch], ...moreModules])
}

/** The metapackage holds no kernel: it depends on the versioned package that does. */
async function newestKernel(apt: AptRoot, metapackage: string): Promise<DebianPackage> {
  const meta = await apt.show(metapackage)
  const name = /(?:^|,\s*)(linux-image-[0-9][a-z0-9.+-]*)/.exec(meta.depends)?.[1]
  if (name === undefined)
    throw new AuthorityError(
      'E_UPSTREAM',
      `Debian’s ${metapackage} ${meta.version} names no kernel package (depends: ${meta.depends.slice(0, 200)})`,
    )
  return apt.show(name)
}

async function makeEntry(
  unpacked: string,
  entry: string,
  arch: MachineArch,
  deb: DebianPackage,
  wanted: readonly string[],
): Promise<{ folder: string; manifest: KernelManifest }> {
  mkdirSync(join(entry, 'modules'), { recursive: true, mode: 0o700 })
  const boot = join(unpacked, 'boot')
  const image = existsSync(boot) ? readdirSync(boot).find((name) => name.startsWith('vmlinuz-')) : undefined
  if (image === undefined) throw new AuthorityError('E_UPSTREAM', `the package ${deb.name} holds no kernel`)
  const kernel = await bootable(readFileSync(join(boot, image)), arch)
  const modules = await wantedModules(unpacked, image.slice('vmlinuz-'.length), wanted)
  writeAtomically(join(entry, 'kernel'), kernel.bytes, 0o444)
  for (const module of modules) writeAtomically(join(entry, 'modules', module.file), module.bytes, 0o444)
  const manifest: KernelManifest = {
    format: KERNEL_FORMAT,
    arch,
    package: deb.name,
    version: deb.version,
    kind: kernel.kind,
    kernelSha256: sha256(kernel.bytes),
    modules: modules.map((module) => ({ file: module.file, sha256: sha256(module.bytes) })),
  }
  writeFileSync(join(entry, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600 })
  return { folder: entry, manifest }
}

/** The vmlinux inside the bzImage when it is there and can be booted, else the image as shipped. */
async function bootable(image: Uint8Array, arch: MachineArch): Promise<{ kind: 'vmlinux' | 'image'; bytes: Uint8Array }> {
  if (image.length > MAX_KERNEL_BYTES)
    throw new AuthorityError('E_FRAME_TOO_LARGE', `the kernel has ${image.length} bytes, more than ${MAX_KERNEL_BYTES}`)
  const payload = arch === 'x86_64' ? bzImagePayload(image) : null
  if (payload === null) return { kind: 'image', bytes: image }
  try {
    const bytes = await decompress(payload.compression, payload.bytes)
    if (hasPvhEntry(bytes)) return { kind: 'vmlinux', bytes }
  } catch (failure) {
    // No xz on this host: the compressed image boots too, only later.
    if (!(failure instanceof AuthorityError)) throw failure
  }
  return { kind: 'image', bytes: image }
}

async function wantedModules(unpacked: string, release: string, wanted: readonly string[]): Promise<PickedModule[]> {
  const usrMerged = join(unpacked, 'usr', 'lib', 'modules', release)
  const folder = existsSync(usrMerged) ? usrMerged : join(unpacked, 'lib', 'modules', release)
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => /\.ko(?:\.(?:xz|zst|gz))?$/.test(path))
  const text = (name: string) => (existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8') : '')
  const builtin = builtinNames(text('modules.builtin'), text('modules.builtin.modinfo'))
  const loaded = new Map<string, Uint8Array>()
  // pickModules is synchronous while decompression is not: it asks, we load what it asked for, and it starts over until nothing is missing.
  for (;;) {
    let missing: string | null = null
    const modules: PackageModule[] = files.map((path) => ({
      path,
      read: () => {
        const bytes = loaded.get(path)
        if (bytes === undefined) {
          missing = path
          throw new NotLoaded()
        }
        return bytes
      },
    }))
    try {
      return pickModules(wanted, modules, builtin)
    } catch (failure) {
      if (!(failure instanceof NotLoaded) || missing === null) throw failure
      loaded.set(missing, await readModule(join(folder, missing)))
    }
  }
}

class NotLoaded extends Error {}

const SUFFIX: Readonly<Record<string, Compression>> = { xz: 'xz', zst: 'zstd', gz: 'gzip' }

async function readModule(path: string): Promise<Uint8Array> {
  const bytes = readFileSync(path)
  const kind = SUFFIX[basename(path).split('.').pop() ?? '']
  return kind === undefined ? bytes : decompress(kind, bytes, MAX_MODULE_BYTES)
}
