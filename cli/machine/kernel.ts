import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AuthorityError } from '@authority/protocol'
import type { DebianArch, OnProgress } from '../debian/index.ts'
import { exclusively } from '../process/exclusive.ts'
import { buildInitrd, type ModuleFile } from './initrd.ts'
import { fetchStockKernel } from './kernel-fetch.ts'
import type { MachineArch } from './qemu.ts'
import { sha256, writeAtomically } from './store.ts'

/** Adapter: the guest's kernel in the cache: CACHE/kernel/ARCH/VERSION/{manifest.json,kernel,modules/}. Files are 0444 in 0700 folders: QEMU reads them under another uid. */

export const DEBIAN_ARCH: Readonly<Record<MachineArch, DebianArch>> = { x86_64: 'amd64', aarch64: 'arm64' }

/** What `--kernel FILE` brings with it, for people: no module is loaded into it. */
export const KERNEL_NEEDS =
  'with virtio (PCI on x86_64, MMIO on aarch64), its console and disk, erofs, fanotify, and for host mounts virtiofs and open by handle, all built in'

/** Version of the manifest and of how a package is turned into a cache entry; another is fetched anew. */
export const KERNEL_FORMAT = 2

export interface KernelManifest {
  readonly format: number
  readonly arch: MachineArch
  /** Debian package and version, e.g. `linux-image-6.1.0-56-cloud-amd64` `6.1.192-2`; or `file` and the digest for --kernel. */
  readonly package: string
  readonly version: string
  /** `vmlinux` boots by its PVH entry, `image` as the package ships it. */
  readonly kind: 'vmlinux' | 'image'
  readonly kernelSha256: string
  /** In loading order. */
  readonly modules: readonly { readonly file: string; readonly sha256: string }[]
}

export interface Kernel {
  readonly manifest: KernelManifest
  /** Folder of this version. */
  readonly folder: string
  /** The file QEMU boots; its bytes were checked against the manifest. */
  readonly path: string
  readonly modules: readonly ModuleFile[]
}

export interface KernelOptions {
  /** CACHE: a folder of ours, made when absent. */
  readonly cacheFolder: string
  readonly arch: MachineArch
  /** --kernel FILE: boots this instead; the modules still come from nowhere, so everything must be built in. */
  readonly kernelFile?: string
  /** Another Debian metapackage than the cloud kernel's, and modules wanted besides our own: a benchmark's peer needs what ours does not. */
  readonly metapackage?: string
  readonly moreModules?: readonly string[]
  readonly onProgress?: OnProgress
  /** False: never touch the network; a missing kernel is then an error. */
  readonly fetch?: boolean
}

/** The kernel to boot: one's own, the cached one, or the stock kernel fetched now. Throws AuthorityError with a hint. */
export async function ensureKernel(options: KernelOptions): Promise<Kernel> {
  const root = join(options.cacheFolder, 'kernel', options.arch)
  mkdirSync(root, { recursive: true, mode: 0o700 })
  if (options.kernelFile !== undefined) return importKernel(options.kernelFile, root, options.arch)
  const cached = cachedKernel(options.cacheFolder, options.arch)
  if (cached !== null) return cached
  if (options.fetch === false)
    throw new AuthorityError('E_NOT_FOUND', `no guest kernel for ${options.arch} in the cache`, {
      hint: 'connect to the network once, or give one with --kernel FILE',
    })
  return exclusively(join(root, '.lock'), async () => cachedKernel(options.cacheFolder, options.arch) ?? (await fetchInto(root, options)))
}

async function fetchInto(root: string, options: KernelOptions): Promise<Kernel> {
  const scratch = mkdtempSync(join(root, '.fetch-'))
  try {
    const fetched = await fetchStockKernel(scratch, options)
    const folder = install(fetched.folder, fetched.manifest, root)
    writeAtomically(join(root, 'current'), new TextEncoder().encode(`${versionFolder(fetched.manifest)}\n`), 0o600)
    return load(folder)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** The cached stock kernel, or null when there is none of this format. Throws E_CONFLICT when its files differ from their manifest. */
export function cachedKernel(cacheFolder: string, arch: MachineArch): Kernel | null {
  const root = join(cacheFolder, 'kernel', arch)
  const current = join(root, 'current')
  if (!existsSync(current)) return null
  const name = readFileSync(current, 'utf8').trim()
  if (!/^[A-Za-z0-9.+:~-]{1,200}$/.test(name) || name.startsWith('.')) return null
  const folder = join(root, name)
  if (!existsSync(join(folder, 'manifest.json'))) return null
  return readManifest(folder).format === KERNEL_FORMAT ? load(folder) : null
}

/** The initial file system for this kernel and init, written once beside the kernel; answers its path and digest. */
export function ensureInitrd(kernel: Kernel, init: Uint8Array): { readonly path: string; readonly sha256: string } {
  const bytes = buildInitrd(init, kernel.modules)
  const digest = sha256(bytes)
  const path = join(kernel.folder, `initrd-${digest.slice(0, 32)}`)
  if (!existsSync(path) || sha256(readFileSync(path)) !== digest) writeAtomically(path, bytes, 0o444)
  return { path, sha256: digest }
}

function versionFolder(manifest: KernelManifest): string {
  return manifest.version.replace(/[^A-Za-z0-9.+:~-]/g, '_')
}

function importKernel(file: string, root: string, arch: MachineArch): Kernel {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(file)
  } catch (cause) {
    throw new AuthorityError('E_NOT_FOUND', `cannot read the kernel ${file}`, { hint: 'check the path given to --kernel', cause })
  }
  checkKernelArch(bytes, arch, file)
  const digest = sha256(bytes)
  const manifest: KernelManifest = {
    format: KERNEL_FORMAT,
    arch,
    package: 'file',
    version: `file-${digest.slice(0, 32)}`,
    kind: 'image',
    kernelSha256: digest,
    modules: [],
  }
  const scratch = mkdtempSync(join(root, '.import-'))
  try {
    writeAtomically(join(scratch, 'kernel'), bytes, 0o444)
    mkdirSync(join(scratch, 'modules'), { mode: 0o700 })
    writeFileSync(join(scratch, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600 })
    return load(install(scratch, manifest, root))
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** Refuses a file that is plainly no kernel for this machine. Throws E_CONFLICT. */
export function checkKernelArch(bytes: Uint8Array, arch: MachineArch, name: string): void {
  const text = (at: number, length: number) => String.fromCharCode(...bytes.subarray(at, at + length))
  const elfMachine = text(0, 4) === '\x7fELF' ? (bytes[18] ?? 0) + (bytes[19] ?? 0) * 256 : null
  const found =
    text(0x202, 4) === 'HdrS' || elfMachine === 62 ? 'x86_64' : text(0x38, 4) === 'ARM\x64' || elfMachine === 183 ? 'aarch64' : null
  if (found === null)
    throw new AuthorityError('E_CONFLICT', `${name} is not a Linux kernel (bzImage, vmlinux or arm64 Image)`, {
      hint: 'give an uncompressed kernel file to --kernel',
    })
  if (found !== arch)
    throw new AuthorityError('E_CONFLICT', `${name} is a kernel for ${found}, but the image is for ${arch}`, {
      hint: 'build the image with --arch, or give another kernel',
    })
}

/** Moves a finished folder to its place; another process may have been first, then its equal one is used. */
function install(made: string, manifest: KernelManifest, root: string): string {
  const folder = join(root, versionFolder(manifest))
  if (existsSync(folder) && readOr(folder)?.format === KERNEL_FORMAT) return folder
  if (existsSync(folder)) rmSync(folder, { recursive: true, force: true })
  try {
    renameSync(made, folder)
  } catch (cause) {
    if (!existsSync(join(folder, 'manifest.json')))
      throw new AuthorityError('E_IO', `cannot store the kernel in ${folder}`, {
        hint: 'check free space and permissions of the cache',
        cause,
      })
  }
  return folder
}

function readOr(folder: string): KernelManifest | null {
  try {
    return readManifest(folder)
  } catch {
    return null
  }
}

function readManifest(folder: string): KernelManifest {
  try {
    return JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as KernelManifest
  } catch (cause) {
    throw new AuthorityError('E_CONFLICT', `the cached kernel in ${folder} is damaged: its manifest cannot be read`, {
      hint: `delete ${folder} and start again`,
      cause,
    })
  }
}

function load(folder: string): Kernel {
  const manifest = readManifest(folder)
  const read = (name: string, digest: string): Uint8Array => {
    const path = join(folder, name)
    let bytes: Uint8Array
    try {
      bytes = readFileSync(path)
    } catch (cause) {
      throw new AuthorityError('E_CONFLICT', `the cached kernel is incomplete: ${path}`, {
        hint: `delete ${folder} and start again`,
        cause,
      })
    }
    if (sha256(bytes) !== digest)
      throw new AuthorityError('E_CONFLICT', `the cached kernel was changed: ${path}`, { hint: `delete ${folder} and start again` })
    return bytes
  }
  read('kernel', manifest.kernelSha256)
  const modules = manifest.modules.map(({ file, sha256: digest }) => ({ name: file, bytes: read(join('modules', file), digest) }))
  return { manifest, folder, path: join(folder, 'kernel'), modules }
}
