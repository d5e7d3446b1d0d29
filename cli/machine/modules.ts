import { AuthorityError } from '@authority/protocol'

/**
 * Which kernel modules the guest needs, in loading order. A Debian kernel package carries no modules.dep (depmod writes it at installation), so the
 * dependencies are read from where depmod finds them: the `.modinfo` section of each module and `modules.builtin.modinfo`. Pure.
 */

/** One module of the package. `read` gives its decompressed ELF bytes and is called only for modules that are looked at. */
export interface PackageModule {
  /** Path in the package, e.g. `kernel/fs/erofs/erofs.ko.xz`. */
  readonly path: string
  readonly read: () => Uint8Array
}

export interface PickedModule {
  /** e.g. `erofs.ko` */
  readonly file: string
  readonly bytes: Uint8Array
}

/** What the guest cannot start without, per machine: how devices are found, ports, disk, image, host mounts. */
export const WANTED_MODULES: Readonly<Record<'x86_64' | 'aarch64', readonly string[]>> = {
  x86_64: ['virtio_pci', 'virtio_console', 'virtio_blk', 'erofs', 'virtiofs'],
  aarch64: ['virtio_mmio', 'virtio_console', 'virtio_blk', 'erofs', 'virtiofs'],
}

/** Module names treat `-` and `_` as one. */
function canonical(name: string): string {
  return name.replaceAll('-', '_')
}

/** Names built into the kernel: modules and the aliases they answer to (`crc32c` for `crc32c_generic`). */
export function builtinNames(modulesBuiltin: string, builtinModinfo: string): ReadonlySet<string> {
  const names = new Set<string>()
  for (const line of modulesBuiltin.split('\n')) if (line !== '') names.add(canonical(baseName(line)))
  for (const entry of builtinModinfo.split('\0')) {
    const alias = /^[^.=]+\.alias=(.+)$/.exec(entry)?.[1]
    if (alias !== undefined) names.add(canonical(alias))
  }
  return names
}

function baseName(path: string): string {
  return (path.split('/').pop() ?? '').replace(/\.ko(?:\.(?:xz|zst|gz))?$/, '')
}

/** The wanted modules and all they need, each after what it needs; built-in ones are left out. Throws E_NOT_FOUND when the package lacks one. */
export function pickModules(wanted: readonly string[], modules: readonly PackageModule[], builtin: ReadonlySet<string>): PickedModule[] {
  const byName = new Map(modules.map((module) => [canonical(baseName(module.path)), module]))
  const picked = new Map<string, PickedModule>()
  const under = new Set<string>()
  const visit = (name: string, required: boolean) => {
    const key = canonical(name)
    if (picked.has(key) || builtin.has(key) || under.has(key)) return
    const module = byName.get(key) ?? (required ? undefined : byAlias(modules, key))
    if (module === undefined) {
      if (!required) return
      throw new AuthorityError('E_NOT_FOUND', `the kernel package has no module \`${name}\``, {
        hint: 'use Debian’s cloud kernel, or a kernel with it built in',
      })
    }
    const own = canonical(baseName(module.path))
    if (picked.has(own)) return
    under.add(key)
    const bytes = module.read()
    const info = readModinfo(bytes)
    for (const soft of softBefore(info.get('softdep') ?? [])) visit(soft, false)
    for (const hard of (info.get('depends') ?? []).flatMap((list) => list.split(',')).filter((dep) => dep !== '')) visit(hard, true)
    picked.set(own, { file: `${baseName(module.path)}.ko`, bytes })
  }
  for (const name of wanted) visit(name, true)
  return [...picked.values()]
}

/** A soft dependency is often an alias (`crc32c`) that several crypto modules provide; the plainest provider runs on every CPU. */
function byAlias(modules: readonly PackageModule[], alias: string): PackageModule | undefined {
  const providers = modules.filter(
    (module) => /(?:^|\/)(?:crypto|lib)\//.test(module.path) && canonical(baseName(module.path)).startsWith(alias),
  )
  const generic = providers.find((module) => /generic/.test(module.path))
  const ordered = generic === undefined ? providers : [generic, ...providers]
  return ordered.find((module) => (readModinfo(module.read()).get('alias') ?? []).some((name) => canonical(name) === alias))
}

/** `pre: a b post: c` → a, b */
function softBefore(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const before = /(?:^|\s)pre:\s*([^:]*?)(?:\s+post:|$)/.exec(line)?.[1] ?? ''
    return before.split(/\s+/).filter((name) => name !== '')
  })
}

/** The `key=value` strings of a module's `.modinfo` section. Throws E_CONFLICT when the bytes are not a 64-bit little-endian ELF object. */
export function readModinfo(elf: Uint8Array): Map<string, string[]> {
  const info = new Map<string, string[]>()
  for (const entry of new TextDecoder().decode(elfSection(elf, '.modinfo')).split('\0')) {
    const at = entry.indexOf('=')
    if (at <= 0) continue
    const key = entry.slice(0, at)
    info.set(key, [...(info.get(key) ?? []), entry.slice(at + 1)])
  }
  return info
}

/** Bytes of one section of an ELF64 file (System V ABI, chapter 4), empty when it is not there. */
export function elfSection(elf: Uint8Array, wanted: string): Uint8Array {
  const bad = () => new AuthorityError('E_CONFLICT', 'a kernel module is not a 64-bit ELF file')
  if (elf.length < 64 || elf[0] !== 0x7f || elf[1] !== 0x45 || elf[2] !== 0x4c || elf[3] !== 0x46 || elf[4] !== 2 || elf[5] !== 1)
    throw bad()
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength)
  const table = Number(view.getBigUint64(0x28, true))
  const entrySize = view.getUint16(0x3a, true)
  const count = view.getUint16(0x3c, true)
  const names = view.getUint16(0x3e, true)
  if (entrySize < 64 || names >= count || table + count * entrySize > elf.length) throw bad()
  const slice = (index: number): Uint8Array => {
    const offset = Number(view.getBigUint64(table + index * entrySize + 0x18, true))
    const size = Number(view.getBigUint64(table + index * entrySize + 0x20, true))
    if (view.getUint32(table + index * entrySize + 4, true) === SHT_NOBITS) return new Uint8Array(0)
    if (offset + size > elf.length) throw bad()
    return elf.subarray(offset, offset + size)
  }
  const strings = slice(names)
  for (let index = 0; index < count; index++) {
    const at = view.getUint32(table + index * entrySize, true)
    if (nameAt(strings, at) === wanted) return slice(index)
  }
  return new Uint8Array(0)
}

const SHT_NOBITS = 8

function nameAt(strings: Uint8Array, at: number): string {
  const end = strings.indexOf(0, at)
  return end < 0 ? '' : new TextDecoder().decode(strings.subarray(at, end))
}
